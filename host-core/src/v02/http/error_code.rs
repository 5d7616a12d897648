//! `wasi:http/types.error-code`: why an exchange failed.

use crate::http::Failure;
use alloc::format;
use alloc::string::String;
use mwasm_http::{Fault, SendError};
use mwasm_ports::network::NetError;
use wasmtime::component::{ComponentType, Lift, Lower};

/// The payload of [`ErrorCode::DnsError`].
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct DnsError {
    /// The response code's name (RFC 1035, section 4.1.1).
    rcode: Option<String>,
    /// An extended error's number (RFC 8914).
    #[component(name = "info-code")]
    info_code: Option<u16>,
}

/// The payload of [`ErrorCode::TlsAlertReceived`].
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct TlsAlert {
    #[component(name = "alert-id")]
    alert_id: Option<u8>,
    #[component(name = "alert-message")]
    alert_message: Option<String>,
}

/// Which field was too large.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct FieldSize {
    #[component(name = "field-name")]
    field_name: Option<String>,
    #[component(name = "field-size")]
    field_size: Option<u32>,
}

/// `wasi:http/types.error-code`; cases are named and explained by IANA's list of HTTP proxy error types.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
#[allow(missing_docs, reason = "the specification's names say it")]
pub enum ErrorCode {
    #[component(name = "DNS-timeout")]
    DnsTimeout,
    #[component(name = "DNS-error")]
    DnsError(DnsError),
    #[component(name = "destination-not-found")]
    DestinationNotFound,
    #[component(name = "destination-unavailable")]
    DestinationUnavailable,
    #[component(name = "destination-IP-prohibited")]
    DestinationIpProhibited,
    #[component(name = "destination-IP-unroutable")]
    DestinationIpUnroutable,
    #[component(name = "connection-refused")]
    ConnectionRefused,
    #[component(name = "connection-terminated")]
    ConnectionTerminated,
    #[component(name = "connection-timeout")]
    ConnectionTimeout,
    #[component(name = "connection-read-timeout")]
    ConnectionReadTimeout,
    #[component(name = "connection-write-timeout")]
    ConnectionWriteTimeout,
    #[component(name = "connection-limit-reached")]
    ConnectionLimitReached,
    #[component(name = "TLS-protocol-error")]
    TlsProtocolError,
    #[component(name = "TLS-certificate-error")]
    TlsCertificateError,
    #[component(name = "TLS-alert-received")]
    TlsAlertReceived(TlsAlert),
    #[component(name = "HTTP-request-denied")]
    HttpRequestDenied,
    #[component(name = "HTTP-request-length-required")]
    HttpRequestLengthRequired,
    #[component(name = "HTTP-request-body-size")]
    HttpRequestBodySize(Option<u64>),
    #[component(name = "HTTP-request-method-invalid")]
    HttpRequestMethodInvalid,
    #[component(name = "HTTP-request-URI-invalid")]
    HttpRequestUriInvalid,
    #[component(name = "HTTP-request-URI-too-long")]
    HttpRequestUriTooLong,
    #[component(name = "HTTP-request-header-section-size")]
    HttpRequestHeaderSectionSize(Option<u32>),
    #[component(name = "HTTP-request-header-size")]
    HttpRequestHeaderSize(Option<FieldSize>),
    #[component(name = "HTTP-request-trailer-section-size")]
    HttpRequestTrailerSectionSize(Option<u32>),
    #[component(name = "HTTP-request-trailer-size")]
    HttpRequestTrailerSize(FieldSize),
    #[component(name = "HTTP-response-incomplete")]
    HttpResponseIncomplete,
    #[component(name = "HTTP-response-header-section-size")]
    HttpResponseHeaderSectionSize(Option<u32>),
    #[component(name = "HTTP-response-header-size")]
    HttpResponseHeaderSize(FieldSize),
    #[component(name = "HTTP-response-body-size")]
    HttpResponseBodySize(Option<u64>),
    #[component(name = "HTTP-response-trailer-section-size")]
    HttpResponseTrailerSectionSize(Option<u32>),
    #[component(name = "HTTP-response-trailer-size")]
    HttpResponseTrailerSize(FieldSize),
    #[component(name = "HTTP-response-transfer-coding")]
    HttpResponseTransferCoding(Option<String>),
    #[component(name = "HTTP-response-content-coding")]
    HttpResponseContentCoding(Option<String>),
    #[component(name = "HTTP-response-timeout")]
    HttpResponseTimeout,
    #[component(name = "HTTP-upgrade-failed")]
    HttpUpgradeFailed,
    #[component(name = "HTTP-protocol-error")]
    HttpProtocolError,
    #[component(name = "loop-detected")]
    LoopDetected,
    #[component(name = "configuration-error")]
    ConfigurationError,
    #[component(name = "internal-error")]
    InternalError(Option<String>),
}

impl From<Failure> for ErrorCode {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fault(fault) => fault.into(),
            Failure::Send(error) => match error {
                SendError::Target => Self::HttpRequestUriInvalid,
                SendError::Length => Self::HttpRequestBodySize(None),
                SendError::Forbidden => Self::HttpRequestHeaderSize(None),
                SendError::ContentLength | SendError::Status | SendError::State => Self::HttpProtocolError,
            },
            Failure::Network(error) => error.into(),
            Failure::Name(NetError::Timeout) => Self::DnsTimeout,
            Failure::Name(NetError::NameUnresolvable) => Self::dns("NXDOMAIN"),
            Failure::Name(NetError::PermanentResolverFailure) => Self::dns("REFUSED"),
            Failure::Name(_) => Self::dns("SERVFAIL"),
            Failure::ConnectTimeout => Self::ConnectionTimeout,
            Failure::ResponseTimeout => Self::HttpResponseTimeout,
            Failure::ReceiveTimeout => Self::ConnectionReadTimeout,
            Failure::SendTimeout => Self::ConnectionWriteTimeout,
            Failure::Denied => Self::HttpRequestDenied,
            Failure::Tls => Self::TlsProtocolError,
            Failure::Overrun => Self::InternalError(Some(format!("{failure}"))),
            Failure::Over => Self::ConnectionTerminated,
        }
    }
}

impl ErrorCode {
    fn dns(rcode: &str) -> Self {
        Self::DnsError(DnsError { rcode: Some(rcode.into()), info_code: None })
    }
}

impl From<Fault> for ErrorCode {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed(_) | Fault::Unsupported(_) | Fault::Version | Fault::Expectation => {
                Self::HttpProtocolError
            }
            Fault::Incomplete => Self::HttpResponseIncomplete,
            Fault::BodyTooLarge => Self::HttpRequestBodySize(None),
            Fault::TargetTooLong => Self::HttpRequestUriTooLong,
            Fault::HeadTooLarge => Self::HttpResponseHeaderSectionSize(None),
            Fault::TrailersTooLarge => Self::HttpResponseTrailerSectionSize(None),
        }
    }
}

impl From<NetError> for ErrorCode {
    fn from(error: NetError) -> Self {
        match error {
            NetError::AccessDenied => Self::HttpRequestDenied,
            NetError::ConnectionRefused => Self::ConnectionRefused,
            NetError::Timeout => Self::ConnectionTimeout,
            NetError::RemoteUnreachable | NetError::AddressNotBindable => Self::DestinationIpUnroutable,
            NetError::ConnectionBroken | NetError::ConnectionReset | NetError::ConnectionAborted => {
                Self::ConnectionTerminated
            }
            NetError::NewSocketLimit | NetError::OutOfMemory | NetError::AddressInUse => Self::ConnectionLimitReached,
            NetError::NotSupported => Self::ConfigurationError,
            other => Self::InternalError(Some(format!("{other}"))),
        }
    }
}
