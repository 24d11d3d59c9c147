//! Messages of any lengths in any order.

use proptest::{collection::vec, prelude::*};

use crate::check;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_messages(messages in vec(vec(any::<u8>(), 0..700), 0..40)) {
        check(&messages);
    }

    #[test]
    fn few_long_ones(messages in vec(vec(any::<u8>(), 0..9000), 0..12)) {
        check(&messages);
    }
}
