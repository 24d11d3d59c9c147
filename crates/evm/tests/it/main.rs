//! What a block does besides its transactions, over a state that is a map.

mod access_list;
mod bed;
mod post_block;
mod system_calls;
