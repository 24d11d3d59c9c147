//! The log on real files and on a disk that fails.

mod chain;
mod checkpoint;
mod crash;
mod damage;
mod disk;
mod life;
