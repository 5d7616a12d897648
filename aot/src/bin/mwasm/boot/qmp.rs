//! The one thing that is asked of QEMU's control protocol (QMP): press the power button.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long QEMU may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The power button of a machine.
pub struct Button {
    replies: BufReader<UnixStream>,
}

impl Button {
    /// The button of the machine at the other end of `control`.
    pub fn new(control: UnixStream) -> Self {
        Self { replies: BufReader::new(control) }
    }

    /// Presses it. What the machine makes of it is its own affair.
    pub fn press(&mut self) -> io::Result<()> {
        self.replies.get_ref().set_read_timeout(Some(PATIENCE))?;
        self.line()?; // The greeting, which QEMU has sent at its start.
        for command in ["qmp_capabilities", "system_powerdown"] {
            writeln!(self.replies.get_mut(), "{{\"execute\": \"{command}\"}}")?;
            while !self.line()?.starts_with("{\"return\"") {}
        }
        Ok(())
    }

    /// The next line: a reply, or an event.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.replies.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_button_is_pressed_after_the_handshake() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let qemu = std::thread::spawn(move || {
            let mut lines = BufReader::new(theirs);
            let mut heard = Vec::new();
            writeln!(lines.get_mut(), "{{\"QMP\": {{}}}}").unwrap();
            for _ in 0..2 {
                let mut line = String::new();
                lines.read_line(&mut line).unwrap();
                heard.push(line);
                writeln!(lines.get_mut(), "{{\"event\": \"RESUME\"}}\n{{\"return\": {{}}}}").unwrap();
            }
            heard
        });
        Button::new(ours).press().unwrap();
        assert!(qemu.join().unwrap()[1].contains("system_powerdown"));
    }

    #[test]
    fn a_machine_that_is_gone_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(Button::new(ours).press().is_err());
    }
}
