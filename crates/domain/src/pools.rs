//! Token pools: what a model call counts, as disjoint parts.

use std::ops::{Index, IndexMut};

/// Which whole a pool belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    Input,
    Output,
}

macro_rules! pools {
    ($($variant:ident $name:literal $side:ident $fallback:expr;)*) => {
        /// A kind of token. `Input` and `Output` are the wholes (or, once disjoint, the rest of
        /// them); the others are their parts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Pool { $($variant),* }

        /// Every pool, in the order of their numbers.
        pub const ALL_POOLS: [Pool; Pool::COUNT] = [$(Pool::$variant),*];

        impl Pool {
            pub const COUNT: usize = [$($name),*].len();

            /// The pool's name in events, price books and ClickHouse.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            pub const fn side(self) -> Side {
                match self { $(Self::$variant => Side::$side),* }
            }

            /// Whose price this pool takes when it has none of its own; `None` for the wholes.
            pub const fn fallback(self) -> Option<Self> {
                match self { $(Self::$variant => $fallback),* }
            }
        }
    };
}

pools! {
    Input "input" Input None;
    CacheRead "cache_read" Input Some(Pool::Input);
    CacheWrite "cache_write" Input Some(Pool::Input);
    CacheWrite1h "cache_write_1h" Input Some(Pool::CacheWrite);
    AudioInput "audio_input" Input Some(Pool::Input);
    ImageInput "image_input" Input Some(Pool::Input);
    VideoInput "video_input" Input Some(Pool::Input);
    DocumentInput "document_input" Input Some(Pool::Input);
    CacheReadAudio "cache_read_audio" Input Some(Pool::CacheRead);
    CacheReadImage "cache_read_image" Input Some(Pool::CacheRead);
    CacheWriteAudio "cache_write_audio" Input Some(Pool::CacheWrite);
    Output "output" Output None;
    Reasoning "reasoning" Output Some(Pool::Output);
    AudioOutput "audio_output" Output Some(Pool::Output);
    ImageOutput "image_output" Output Some(Pool::Output);
}

impl Pool {
    /// Whether this is `input` or `output` itself.
    pub const fn is_whole(self) -> bool {
        self.fallback().is_none()
    }

    /// The whole on this pool's side.
    pub const fn whole(self) -> Self {
        match self.side() {
            Side::Input => Self::Input,
            Side::Output => Self::Output,
        }
    }
}

/// Token counts, one per pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pools([u64; Pool::COUNT]);

impl Pools {
    /// Every pool that is not zero, in the pools' order.
    pub fn nonzero(&self) -> impl Iterator<Item = (Pool, u64)> + '_ {
        ALL_POOLS.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// The sum of the pools of one side.
    pub fn side(&self, side: Side) -> u64 {
        self.nonzero().filter(|(pool, _)| pool.side() == side).map(|(_, count)| count).sum()
    }

    /// The sum of all pools; of disjoint ones, the tokens of the call.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl Index<Pool> for Pools {
    type Output = u64;
    fn index(&self, pool: Pool) -> &u64 {
        &self.0[pool as usize]
    }
}

impl IndexMut<Pool> for Pools {
    fn index_mut(&mut self, pool: Pool) -> &mut u64 {
        &mut self.0[pool as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_fallbacks_stay_on_their_side() {
        for pool in ALL_POOLS {
            assert_eq!(Pool::from_name(pool.name()), Some(pool));
            let mut at = pool;
            while let Some(next) = at.fallback() {
                assert_eq!(next.side(), pool.side());
                at = next;
            }
            assert_eq!(at, pool.whole());
        }
    }
}
