//! The `date` field (RFC 9110, section 5.6.7), formatted once a second.

/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;
/// Length of the text.
const TEXT_BYTES: usize = 29;
/// The last second that has four digits for its year: the end of 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// A point in time, as `Sun, 06 Nov 1994 08:49:37 GMT`. A server keeps one for all its connections and sets it before it answers.
#[derive(Clone, Copy, Debug)]
pub struct Date {
    second: u64,
    text: [u8; TEXT_BYTES],
}

impl Date {
    /// The date at so many seconds after the beginning of 1970, in UTC.
    pub fn new(unix_seconds: u64) -> Self {
        let mut date = Self { second: 0, text: *b"Thu, 01 Jan 1970 00:00:00 GMT" };
        date.set(unix_seconds);
        date
    }

    /// Moves on to another second; costs nothing if it is the same.
    pub fn set(&mut self, unix_seconds: u64) {
        if self.second != unix_seconds {
            self.second = unix_seconds;
            self.text = format(unix_seconds.min(LAST_SECOND));
        }
    }

    /// The text, in ASCII.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

/// The civil date of a day is found as if years began in March: the leap day then is the last one, and the lengths of months follow a
/// straight line.
fn format(unix_seconds: u64) -> [u8; TEXT_BYTES] {
    const WEEKDAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
    const MONTHS: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    /// Days from the first of March of the year 0 to the beginning of 1970.
    const TO_1970: u64 = 719_468;
    /// Days of 400 years.
    const ERA_DAYS: u64 = 146_097;

    let (days, second) = (unix_seconds / DAY_SECONDS, unix_seconds % DAY_SECONDS);
    let era = (days + TO_1970) / ERA_DAYS;
    let day_of_era = (days + TO_1970) % ERA_DAYS;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);

    let two = |number: u64| [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
    let name = |names: &[&[u8; 3]], at: u64| names.get(at as usize).map_or(*b"???", |name| **name);
    let ([w0, w1, w2], [m0, m1, m2]) = (name(&WEEKDAYS, days % 7), name(&MONTHS, month));
    let ([d0, d1], [c0, c1], [y0, y1]) = (two(day), two(year / 100), two(year));
    let ([h0, h1], [i0, i1], [s0, s1]) = (two(second / 3600), two(second / 60 % 60), two(second % 60));
    [
        w0, w1, w2, b',', b' ', d0, d1, b' ', m0, m1, m2, b' ', c0, c1, y0, y1, b' ', h0, h1, b':', i0, i1, b':', s0,
        s1, b' ', b'G', b'M', b'T',
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (second, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (LAST_SECOND, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(core::str::from_utf8(Date::new(second).text()).unwrap(), text);
        }
    }
}
