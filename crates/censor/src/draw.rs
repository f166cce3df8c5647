//! Reproducible randomness: a hash of the seed and the question.
//!
//! FNV-1a (64 bits) over the inputs, and the finaliser of SplitMix64 over that, so that similar inputs give
//! unrelated outputs. The numbers are part of the format: a scenario must behave the same in years to come.

/// A draw whose inputs are being added.
#[derive(Clone, Copy, Debug)]
pub struct Draw(u64);

impl Draw {
    /// Begins with the seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(0xcbf2_9ce4_8422_2325).number(seed)
    }

    /// Adds octets, and their length.
    #[must_use]
    pub fn octets(mut self, octets: &[u8]) -> Self {
        for octet in octets {
            self = self.octet(*octet);
        }
        self.number(octets.len() as u64)
    }

    /// Adds a number.
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

    /// An index below `count`; 0 if `count` is 0.
    #[must_use]
    pub const fn below(self, count: u64) -> u64 {
        if count == 0 { 0 } else { self.finish() % count }
    }

    /// A number from 0 (inclusive) to 1 (exclusive).
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

    /// The numbers were computed by another program from the description above.
    #[test]
    fn the_numbers_never_change() {
        for (draw, number) in [
            (Draw::new(0), 0x5ba3_14b8_cfda_3b6b),
            (Draw::new(42), 0xa4e6_579f_d9ba_8f6d),
            (Draw::new(u64::MAX), 0x9eec_b3fe_70d3_12a5),
            (Draw::new(1).octets(b""), 0x1468_1df3_0754_59cb),
            (Draw::new(1).octets(b"ab").octets(b"c"), 0x3bb3_4ceb_70c4_6811),
            (Draw::new(1).octets(b"a").octets(b"bc"), 0x2e4d_b398_47fa_35f2),
            (Draw::new(7).octets(b"\x08linkedin\x03com\0").number(1), 0xb347_7ae9_a506_d6a1),
        ] {
            assert_eq!(draw.finish(), number, "{draw:?}");
        }
        let draw = Draw::new(7).octets(b"\x08linkedin\x03com\0").number(1);
        assert_eq!([draw.below(0), draw.below(1), draw.below(10), draw.below(1000)], [0, 0, 1, 561]);
        assert!((draw.fraction() - 0.700309450189731).abs() < 1e-15, "{}", draw.fraction());
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
