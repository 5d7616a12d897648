//! Options of sockets, in the kernel's units. Only what is to change is set: a server of defaults makes no call.

use super::Socket;
use super::error::other;
use crate::sys::SocketOption;
use mwasm_ports::NANOS_PER_SECOND;
use mwasm_ports::network::{NetError, TcpOptions, UdpOptions};

/// The longest time that the kernel takes for keep-alive, in seconds (`MAX_TCP_KEEPIDLE`, `MAX_TCP_KEEPINTVL`).
const MAX_KEEP_ALIVE_SECONDS: u64 = 32_767;
/// The most probes (`MAX_TCP_KEEPCNT`).
const MAX_KEEP_ALIVE_COUNT: u32 = 127;
/// The largest buffer that can be asked for, in bytes: the kernel doubles it.
const MAX_BUFFER_BYTES: u64 = (i32::MAX / 2) as u64;

/// What both kinds of sockets have.
#[derive(Clone, Copy)]
struct Common {
    hop_limit: u8,
    receive_buffer_bytes: Option<u64>,
    send_buffer_bytes: Option<u64>,
}

impl From<&TcpOptions> for Common {
    fn from(options: &TcpOptions) -> Self {
        let TcpOptions { hop_limit, receive_buffer_bytes, send_buffer_bytes, .. } = *options;
        Self { hop_limit, receive_buffer_bytes, send_buffer_bytes }
    }
}

impl From<&UdpOptions> for Common {
    fn from(options: &UdpOptions) -> Self {
        let UdpOptions { hop_limit, receive_buffer_bytes, send_buffer_bytes } = *options;
        Self { hop_limit, receive_buffer_bytes, send_buffer_bytes }
    }
}

impl Socket {
    fn set(&self, option: SocketOption, value: i32) -> Result<(), NetError> {
        self.set_option(option, value).map_err(other)
    }

    fn get(&self, option: SocketOption) -> Result<i32, NetError> {
        self.option(option).map_err(other)
    }

    fn hop_limit(&self) -> SocketOption {
        if self.is_ipv6 { SocketOption::HOP_LIMIT } else { SocketOption::TIME_TO_LIVE }
    }

    /// The kernel says the double of a buffer, as it counts its own records in.
    fn common(&self) -> Result<Common, NetError> {
        let buffer = |option| Ok(Some(u64::try_from(self.get(option)? / 2).unwrap_or(0)));
        Ok(Common {
            hop_limit: u8::try_from(self.get(self.hop_limit())?).unwrap_or(u8::MAX),
            receive_buffer_bytes: buffer(SocketOption::RECEIVE_BUFFER)?,
            send_buffer_bytes: buffer(SocketOption::SEND_BUFFER)?,
        })
    }

    fn change_common(&self, now: Common, wanted: Common) -> Result<(), NetError> {
        if wanted.hop_limit == 0 {
            return Err(NetError::InvalidArgument);
        }
        if now.hop_limit != wanted.hop_limit {
            self.set(self.hop_limit(), wanted.hop_limit.into())?;
        }
        let buffers = [
            (SocketOption::RECEIVE_BUFFER, now.receive_buffer_bytes, wanted.receive_buffer_bytes),
            (SocketOption::SEND_BUFFER, now.send_buffer_bytes, wanted.send_buffer_bytes),
        ];
        for (option, now, wanted) in buffers {
            if let Some(bytes) = wanted.filter(|_| now != wanted) {
                self.set(option, bytes.min(MAX_BUFFER_BYTES) as i32)?;
            }
        }
        Ok(())
    }

    pub fn tcp_options(&self) -> Result<TcpOptions, NetError> {
        let seconds = |option| Ok(u64::try_from(self.get(option)?).unwrap_or(0).saturating_mul(NANOS_PER_SECOND));
        let Common { hop_limit, receive_buffer_bytes, send_buffer_bytes } = self.common()?;
        Ok(TcpOptions {
            keep_alive: self.get(SocketOption::KEEP_ALIVE)? != 0,
            keep_alive_idle_ns: seconds(SocketOption::KEEP_ALIVE_IDLE)?,
            keep_alive_interval_ns: seconds(SocketOption::KEEP_ALIVE_INTERVAL)?,
            keep_alive_count: u32::try_from(self.get(SocketOption::KEEP_ALIVE_COUNT)?).unwrap_or(0),
            hop_limit,
            receive_buffer_bytes,
            send_buffer_bytes,
        })
    }

    /// Sets those options in which `wanted` is not as `now`.
    pub fn change_tcp_options(&self, now: &TcpOptions, wanted: &TcpOptions) -> Result<(), NetError> {
        self.change_common(now.into(), wanted.into())?;
        let seconds = |ns: u64| ns.div_ceil(NANOS_PER_SECOND).clamp(1, MAX_KEEP_ALIVE_SECONDS) as i32;
        if now.keep_alive != wanted.keep_alive {
            self.set(SocketOption::KEEP_ALIVE, wanted.keep_alive.into())?;
        }
        if now.keep_alive_idle_ns != wanted.keep_alive_idle_ns {
            self.set(SocketOption::KEEP_ALIVE_IDLE, seconds(wanted.keep_alive_idle_ns))?;
        }
        if now.keep_alive_interval_ns != wanted.keep_alive_interval_ns {
            self.set(SocketOption::KEEP_ALIVE_INTERVAL, seconds(wanted.keep_alive_interval_ns))?;
        }
        if now.keep_alive_count != wanted.keep_alive_count {
            self.set(SocketOption::KEEP_ALIVE_COUNT, wanted.keep_alive_count.clamp(1, MAX_KEEP_ALIVE_COUNT) as i32)?;
        }
        Ok(())
    }

    pub fn udp_options(&self) -> Result<UdpOptions, NetError> {
        let Common { hop_limit, receive_buffer_bytes, send_buffer_bytes } = self.common()?;
        Ok(UdpOptions { hop_limit, receive_buffer_bytes, send_buffer_bytes })
    }

    /// Sets those options in which `wanted` is not as they are.
    pub fn set_udp_options(&self, wanted: &UdpOptions) -> Result<(), NetError> {
        self.change_common(self.common()?, wanted.into())
    }
}
