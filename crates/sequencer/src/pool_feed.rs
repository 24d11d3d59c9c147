//! What the pool has to know, on its way there. A thread of its own, so that nobody waits for what the pool does with it.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use rapid_chain::Precedence;
use rapid_pool::{HeadInfo, Pool};
use rapid_primitives::SealedMiniBlock;

/// News that may wait for the pool to take them in. When it is full the committer waits, and through it the loop: the pool
/// may not fall behind for ever.
const FEED_LEN: usize = 64;

enum News {
    Published(Arc<SealedMiniBlock>),
    Head(HeadInfo),
}

/// The end of those who have news.
#[derive(Clone)]
pub(crate) struct PoolFeed(Sender<News>);

impl PoolFeed {
    /// Hands on a mini-block that was published. They come in order.
    pub(crate) fn published(&self, mini_block: &Arc<SealedMiniBlock>) {
        self.send(News::Published(Arc::clone(mini_block)));
    }

    /// Hands on what the open block, or else the next one, asks of transactions.
    pub(crate) fn head(&self, head: HeadInfo) {
        self.send(News::Head(head));
    }

    /// News that wait for the pool.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn send(&self, news: News) {
        // The other end goes only when its thread fails, which stops the sequencer.
        let _ = self.0.send(news);
    }
}

/// The pool's end.
pub(crate) struct PoolFeeder {
    pool: Pool,
    news: Receiver<News>,
}

impl PoolFeeder {
    pub(crate) fn new(pool: Pool) -> (PoolFeed, Self) {
        let (feed, news) = bounded(FEED_LEN);
        (PoolFeed(feed), Self { pool, news })
    }

    /// Runs until nobody is left who could have news.
    pub(crate) fn run(self) {
        // Whoever submits a transaction waits for the locks that it holds.
        Precedence::Publish.take();
        for news in self.news {
            match news {
                News::Published(mini_block) => self.pool.on_mini_block(&mini_block),
                News::Head(head) => self.pool.on_head(&head),
            }
        }
    }
}
