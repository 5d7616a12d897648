//! The time of day from a PC's real-time clock, an MC146818 with a century byte.

use mwasm_ports::NANOS_PER_SECOND;

/// Register B, bit 2: numbers are binary, not decimal digits.
const BINARY: u8 = 1 << 2;
/// Register B, bit 1: hours count to 24.
const HOURS_24: u8 = 1 << 1;
/// In a 12-hour clock, the hour's bit for the afternoon.
const AFTERNOON: u8 = 1 << 7;
const SECONDS_PER_DAY: u64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: u64 = 719_468;

/// The registers that hold the time, as read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// Register 0.
    pub second: u8,
    /// Register 2.
    pub minute: u8,
    /// Register 4.
    pub hour: u8,
    /// Register 7.
    pub day: u8,
    /// Register 8.
    pub month: u8,
    /// Register 9, within the century.
    pub year: u8,
    /// Register 0x32.
    pub century: u8,
    /// Register B.
    pub format: u8,
}

impl Registers {
    /// Nanoseconds since 1970-01-01T00:00:00Z, if the registers hold a time from then on (the clock runs on UTC).
    pub fn since_1970_ns(self) -> Option<u64> {
        let number = |byte: u8| match self.format & BINARY {
            0 if byte & 15 > 9 || byte >> 4 > 9 => None,
            0 => Some(u64::from(byte >> 4) * 10 + u64::from(byte & 15)),
            _ => Some(u64::from(byte)),
        };
        let within = |byte: u8, least: u64, most: u64| number(byte).filter(|value| (least..=most).contains(value));
        let hour = match self.format & HOURS_24 {
            0 => within(self.hour & !AFTERNOON, 1, 12)? % 12 + if self.hour & AFTERNOON == 0 { 0 } else { 12 },
            _ => within(self.hour, 0, 23)?,
        };
        let year = within(self.century, 19, 99)? * 100 + within(self.year, 0, 99)?;
        let days = days_since_1970(year, within(self.month, 1, 12)?, within(self.day, 1, 31)?)?;
        let seconds = hour * 3600 + within(self.minute, 0, 59)? * 60 + within(self.second, 0, 60)?;
        (days * SECONDS_PER_DAY + seconds).checked_mul(NANOS_PER_SECOND)
    }
}

/// Days of the Gregorian calendar, with the year taken to begin in March so that the leap day is its last.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = year.checked_sub(u64::from(month <= 2))?;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (year * 365 + year / 4 - year / 100 + year / 400 + day_of_year).checked_sub(DAYS_TO_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(registers: Registers) -> Option<u64> {
        registers.since_1970_ns().map(|ns| ns / NANOS_PER_SECOND)
    }

    const BCD: Registers = Registers {
        second: 0x56,
        minute: 0x34,
        hour: 0x12,
        day: 0x29,
        month: 0x02,
        year: 0x24,
        century: 0x20,
        format: 2,
    };

    #[test]
    fn times_are_those_of_date() {
        assert_eq!(seconds(BCD), Some(1_709_210_096), "date -ud '2024-02-29 12:34:56' +%s");
        let binary = Registers {
            second: 59,
            minute: 59,
            hour: 23,
            day: 31,
            month: 12,
            year: 99,
            century: 19,
            format: 2 | BINARY,
        };
        assert_eq!(seconds(binary), Some(946_684_799), "date -ud '1999-12-31 23:59:59' +%s");
        let epoch = Registers { day: 1, month: 1, year: 0x70, century: 0x19, format: 2, ..Registers::default() };
        assert_eq!(seconds(epoch), Some(0));
    }

    #[test]
    fn clocks_of_12_hours_know_noon_and_midnight() {
        let at = |hour| seconds(Registers { hour, format: 0, minute: 0, second: 0, ..BCD }).map(|s| s % 86_400 / 3600);
        assert_eq!([at(0x12), at(0x01), at(0x92), at(0x91)], [Some(0), Some(1), Some(12), Some(23)]);
    }

    /// A machine without the clock reads as ones.
    #[test]
    fn what_is_no_time_is_refused() {
        let absent = Registers {
            second: 255,
            minute: 255,
            hour: 255,
            day: 255,
            month: 255,
            year: 255,
            century: 255,
            format: 255,
        };
        assert_eq!(absent.since_1970_ns(), None);
        assert_eq!(Registers::default().since_1970_ns(), None);
        assert_eq!(Registers { month: 0x13, ..BCD }.since_1970_ns(), None);
        assert_eq!(Registers { second: 0x0a, ..BCD }.since_1970_ns(), None);
    }
}
