//! No frame, and no sequence of frames, makes a stack panic or grow without bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "common/hostile.rs"]
mod hostile;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_frames_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        hostile::run(&bytes);
    }

    /// Short segments with likely flags, so that connections come to be and go through all of their states.
    #[test]
    fn arbitrary_segments_do_no_harm(
        setting in any::<u8>(),
        segments in prop::collection::vec((0..4_u8, -2..3_i8, -2..3_i8, prop::sample::select(vec![2, 16, 17, 24, 25, 4, 20, 18, 1]), 0..20_u8), 1..60),
    ) {
        let mut bytes = vec![setting & 0xfe];
        for (ports, sequence, acknowledgement, flags, length) in segments {
            bytes.extend([6, 7 + length, ports << 6, sequence as u8, acknowledgement as u8, 0, flags, 16, 0]);
            bytes.extend((0..length).map(|byte| byte.wrapping_mul(7)));
        }
        hostile::run(&bytes);
    }
}
