//! Chance that always falls the same: a hash of the seed and of what is asked.
//!
//! FNV-1a (64 bits) over the parts, and the finaliser of SplitMix64 over that, so that near inputs give
//! far outputs. The numbers are part of the format: a scenario must play the same in years.

/// A draw under way.
#[derive(Clone, Copy, Debug)]
pub struct Draw(u64);

impl Draw {
    /// Begins with the seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(0xcbf2_9ce4_8422_2325).number(seed)
    }

    /// Takes octets in, and where they end.
    #[must_use]
    pub fn octets(mut self, octets: &[u8]) -> Self {
        for octet in octets {
            self = self.octet(*octet);
        }
        self.number(octets.len() as u64)
    }

    /// Takes a number in.
    #[must_use]
    pub const fn number(mut self, number: u64) -> Self {
        let mut shift = 0;
        while shift < 64 {
            #[expect(clippy::cast_possible_truncation, reason = "one octet after the other")]
            let octet = (number >> shift) as u8;
            self = self.octet(octet);
            shift += 8;
        }
        self
    }

    const fn octet(self, octet: u8) -> Self {
        Self((self.0 ^ octet as u64).wrapping_mul(0x0000_0100_0000_01b3))
    }

    /// 64 bits that look random.
    #[must_use]
    pub const fn finish(self) -> u64 {
        let mut z = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `count` things; 0 if there is none.
    #[must_use]
    pub const fn below(self, count: u64) -> u64 {
        if count == 0 { 0 } else { self.finish() % count }
    }

    /// From 0 up to but not including 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are what a double holds exactly")]
        let (bits, whole) = ((self.finish() >> 11) as f64, (1u64 << 53) as f64);
        bits / whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_never_change() {
        assert_eq!(Draw::new(42).finish(), Draw::new(42).finish());
        assert_ne!(Draw::new(42).finish(), Draw::new(43).finish());
        let parts = Draw::new(1).octets(b"ab").octets(b"c").finish();
        assert_ne!(parts, Draw::new(1).octets(b"a").octets(b"bc").finish());
    }

    #[test]
    fn draws_are_spread_evenly() {
        let mut counts = [0u32; 10];
        let mut sum = 0.0;
        for number in 0..100_000 {
            let draw = Draw::new(7).number(number);
            counts[usize::try_from(draw.below(10)).unwrap()] += 1;
            sum += draw.number(1).fraction();
        }
        assert!(counts.iter().all(|c| (9_500..10_500).contains(c)), "{counts:?}");
        assert!((49_000.0..51_000.0).contains(&sum), "{sum}");
    }
}
