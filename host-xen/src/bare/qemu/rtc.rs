//! Reads the real-time clock; what the registers mean is in [`crate::cmos`].

use super::super::io;
use crate::cmos::Registers;

const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;
/// Register A, bit 7: the time is being updated.
const UPDATING: u8 = 1 << 7;
/// How often the registers are read until two readings agree. An update takes 2 ms, a reading of ten ports a few
/// microseconds.
const TRIES: u32 = 10_000;

/// Nanoseconds since 1970, if there is a clock.
pub fn now_ns() -> Option<u64> {
    let mut before = read();
    for _ in 0..TRIES {
        let now = read();
        if register(0x0a) & UPDATING == 0 && now == before {
            return now.since_1970_ns();
        }
        before = now;
    }
    None
}

fn read() -> Registers {
    Registers {
        second: register(0),
        minute: register(2),
        hour: register(4),
        day: register(7),
        month: register(8),
        year: register(9),
        century: register(0x32),
        format: register(0x0b),
    }
}

fn register(index: u8) -> u8 {
    io::write_8(INDEX, index);
    io::read_8(DATA)
}
