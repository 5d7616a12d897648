//! Numbers that nobody outside can guess: ports, sequence numbers, identifiers of queries.
//!
//! SipHash-2-4 (Aumasson and Bernstein, 2012) over a key that is drawn from the machine's entropy once. Hashing a connection's
//! addresses gives the first sequence number of RFC 6528; hashing a counter gives random numbers.

/// A key, and how many random numbers were drawn from it.
pub(crate) struct Secret {
    key: [u64; 2],
    drawn: u64,
}

impl Secret {
    /// The key that belongs to `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        // The hash wants 128 bits. What they are worth is what the seed is worth: 64.
        Self { key: [seed, seed.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15], drawn: 0 }
    }

    /// The next random number.
    pub(crate) fn random(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        self.hash(&[self.drawn])
    }

    /// A random number below `limit`, which is not 0. Even enough for ports and identifiers: the bias is below limit / 2^64.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        let wide = u128::from(self.random()) * u128::from(limit);
        (wide >> 64) as u64
    }

    /// SipHash-2-4 of `words`.
    pub(crate) fn hash(&self, words: &[u64]) -> u64 {
        let [k0, k1] = self.key;
        let mut v = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        let length_word = (words.len() as u64 * 8) << 56;
        for word in words.iter().copied().chain([length_word]) {
            v[3] ^= word;
            round(&mut v);
            round(&mut v);
            v[0] ^= word;
        }
        v[2] ^= 0xff;
        for _ in 0..4 {
            round(&mut v);
        }
        v[0] ^ v[1] ^ v[2] ^ v[3]
    }
}

fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the paper's authors: key 00..0f, messages 00..07 and 00..0f.
    #[test]
    fn hashes_are_those_of_the_paper() {
        let secret = Secret { key: [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908], drawn: 0 };
        assert_eq!(secret.hash(&[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(secret.hash(&[0x0706_0504_0302_0100]), 0x93f5_f579_9a93_2462);
    }

    #[test]
    fn numbers_stay_below_their_limit_and_differ() {
        let mut secret = Secret::new(7);
        let drawn: alloc::vec::Vec<u64> = (0..100).map(|_| secret.below(16384)).collect();
        assert!(drawn.iter().all(|number| *number < 16384));
        let mut sorted = drawn.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert!(sorted.len() > 95, "{drawn:?}");
    }
}
