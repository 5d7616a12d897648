use super::*;
use alloc::vec;
use mwasm_plan::net::Listen;
use mwasm_ports::fake::Machine;

fn grants(listen: &[&str], connect: &[&'static str], loopback: bool) -> Grants<'static> {
    let listen = listen.iter().map(|grant| Listen::parse(grant).unwrap()).collect();
    let connect = connect.iter().map(|grant| Connect::parse(grant).unwrap()).collect();
    Grants { listen, connect, loopback, ..Grants::default() }
}

fn policy(listen: &[&str], connect: &[&'static str], loopback: bool) -> Policy {
    Policy::new(grants(listen, connect, loopback), None)
}

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

const DENIED: Result<(), NetError> = Err(NetError::AccessDenied);
use Protocol::{Tcp, Udp};

#[test]
fn nothing_is_granted_by_an_empty_policy() {
    let policy = policy(&[], &[], false);
    for protocol in [Tcp, Udp] {
        assert_eq!(policy.bind(protocol, at("0.0.0.0:0")), DENIED);
        assert_eq!(policy.bind(protocol, at("127.0.0.1:0")), DENIED);
        assert_eq!(policy.listen(protocol, at("127.0.0.1:80")), DENIED);
        assert_eq!(policy.connect(protocol, at("127.0.0.1:80")), DENIED);
        assert_eq!(policy.connect(protocol, at("[::1]:80")), DENIED);
    }
    assert_eq!(policy.lookup("example.org"), DENIED);
}

#[test]
fn a_port_is_granted_for_its_protocol_on_every_local_address() {
    let policy = policy(&["tcp:80"], &[], false);
    for local in ["0.0.0.0:80", "[::]:80", "10.0.0.1:80", "127.0.0.1:80"] {
        assert_eq!(policy.bind(Tcp, at(local)), Ok(()));
        assert_eq!(policy.listen(Tcp, at(local)), Ok(()));
        assert_eq!(policy.listen(Udp, at(local)), DENIED);
    }
    assert_eq!(policy.listen(Tcp, at("0.0.0.0:81")), DENIED);
    assert_eq!(policy.connect(Tcp, at("10.0.0.1:80")), DENIED);
}

#[test]
fn an_ephemeral_port_is_for_going_out_only() {
    let policy = policy(&[], &["tcp:10.0.0.1:25"], false);
    assert_eq!(policy.bind(Tcp, at("0.0.0.0:0")), Ok(()));
    assert_eq!(policy.bind(Udp, at("0.0.0.0:0")), DENIED);
    assert_eq!(policy.listen(Tcp, at("0.0.0.0:0")), DENIED);
    assert_eq!(policy.listen(Tcp, at("0.0.0.0:49152")), DENIED);
}

#[test]
fn loopback_is_both_ways_and_no_further() {
    let policy = policy(&[], &[], true);
    for local in ["127.0.0.1:80", "127.3.2.1:0", "[::1]:65535", "[::ffff:127.0.0.1]:1"] {
        assert_eq!(policy.bind(Tcp, at(local)), Ok(()), "{local}");
        assert_eq!(policy.listen(Udp, at(local)), Ok(()), "{local}");
        assert_eq!(policy.connect(Tcp, at(local)), Ok(()), "{local}");
    }
    // Others could connect to this.
    assert_eq!(policy.listen(Tcp, at("0.0.0.0:80")), DENIED);
    assert_eq!(policy.bind(Tcp, at("[::]:80")), DENIED);
    for remote in ["10.0.0.1:80", "0.0.0.0:80", "[::]:80", "[::ffff:10.0.0.1]:80", "128.0.0.1:80"] {
        assert_eq!(policy.connect(Udp, at(remote)), DENIED, "{remote}");
    }
    assert_eq!(policy.lookup("example.org"), DENIED);
}

#[test]
fn addresses_are_granted_by_prefix() {
    let policy = policy(&[], &["tcp:10.1.0.0/16:25", "udp:[fd00::]/8:*", "tcp:192.0.2.7:1", "tcp:[::]/0:9"], false);
    for granted in ["10.1.0.0:25", "10.1.255.255:25", "[::ffff:10.1.2.3]:25", "192.0.2.7:1", "[2001:db8::1]:9"] {
        assert_eq!(policy.connect(Tcp, at(granted)), Ok(()), "{granted}");
    }
    for denied in ["10.2.0.0:25", "10.1.0.0:26", "192.0.2.6:1", "[fd00::1]:25", "10.1.0.0:9", "[::ffff:10.2.0.0]:9"] {
        assert_eq!(policy.connect(Tcp, at(denied)), DENIED, "{denied}");
    }
    assert_eq!(policy.connect(Udp, at("[fdff::1]:53")), Ok(()));
    assert_eq!(policy.connect(Udp, at("[fe00::1]:53")), DENIED);
    assert_eq!(policy.connect(Udp, at("10.1.0.1:25")), DENIED);
    assert_eq!(policy.lookup("example.org"), DENIED);
}

#[test]
fn a_prefix_of_mapped_addresses_is_one_of_ipv4_addresses() {
    let policy = policy(&[], &["tcp:[::ffff:10.0.0.0]/104:*", "tcp:*:443"], false);
    assert_eq!(policy.connect(Tcp, at("10.9.9.9:1")), Ok(()));
    assert_eq!(policy.connect(Tcp, at("11.9.9.9:1")), DENIED);
    assert_eq!(policy.connect(Tcp, at("11.9.9.9:443")), Ok(()));
    assert_eq!(policy.lookup("any.thing"), Ok(()));
}

#[test]
fn a_name_grants_the_addresses_that_were_found_for_it() {
    let policy = policy(&[], &["tcp:imap.example.org:993", "udp:*.example.com:53"], false);
    let address: IpAddr = [192, 0, 2, 1].into();
    assert_eq!(policy.lookup("imap.example.org"), Ok(()));
    assert_eq!(policy.connect(Tcp, at("192.0.2.1:993")), DENIED);
    policy.found("imap.example.org", &[address, "::ffff:192.0.2.2".parse().unwrap()]);
    assert_eq!(policy.connect(Tcp, at("192.0.2.1:993")), Ok(()));
    assert_eq!(policy.connect(Tcp, at("192.0.2.2:993")), Ok(()));
    assert_eq!(policy.connect(Tcp, at("192.0.2.1:25")), DENIED);
    assert_eq!(policy.connect(Udp, at("192.0.2.1:993")), DENIED);
    // The same address by another name has that name's ports.
    policy.found("ns.example.com", &[address]);
    assert_eq!(policy.connect(Udp, at("192.0.2.1:53")), Ok(()));
    assert_eq!(policy.connect(Tcp, at("192.0.2.1:53")), DENIED);
    for denied in ["example.com", "nsexample.com", ".example.com", "imap.example.org.evil.net", "example.org"] {
        assert_eq!(policy.lookup(denied), DENIED, "{denied}");
    }
    // What somebody else looked up is not granted.
    policy.found("example.org", &[[192, 0, 2, 9].into()]);
    assert_eq!(policy.connect(Tcp, at("192.0.2.9:993")), DENIED);
}

#[test]
fn found_addresses_are_bounded_and_the_oldest_goes() {
    let policy = policy(&[], &["tcp:*.example.org:1"], false);
    let address = |number: usize| IpAddr::from([10, 0, (number >> 8) as u8, number as u8]);
    (0..MAX_FOUND).for_each(|number| policy.found("a.example.org", &[address(number)]));
    policy.found("a.example.org", &[address(0), address(MAX_FOUND)]);
    assert_eq!(policy.memory.lock().found.len(), MAX_FOUND);
    assert!(policy.may_connect(Tcp, SocketAddr::new(address(0), 1)));
    assert!(!policy.may_connect(Tcp, SocketAddr::new(address(1), 1)));
}

#[test]
fn each_refusal_is_told_once_with_its_remedy() {
    let machine = Machine::new(1);
    let policy = Policy::new(grants(&[], &["tcp:10.0.0.1:1"], false), Some(machine.clone()));
    for _ in 0..3 {
        assert_eq!(policy.connect(Tcp, at("[::ffff:10.0.0.1]:25")), DENIED);
        assert_eq!(policy.listen(Udp, at("0.0.0.0:53")), DENIED);
        assert_eq!(policy.lookup("example.org"), DENIED);
        assert!(!policy.may_connect(Tcp, at("10.0.0.3:25")));
    }
    let told = String::from_utf8(machine.state().err.clone()).unwrap();
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        vec![
            "mwasm: the app may not connect to tcp:10.0.0.1:25: grant it with --connect tcp:10.0.0.1:25 or [net] connect in mwasm.toml",
            "mwasm: the app may not listen on udp:53: grant it with --listen udp:53 or [net] listen in mwasm.toml",
            "mwasm: the app may not look up example.org: grant it with --connect tcp:example.org:PORT or [net] connect in mwasm.toml",
        ]
    );
    for port in 1..1000 {
        assert_eq!(policy.connect(Tcp, SocketAddr::new([10, 0, 0, 2].into(), port)), DENIED);
    }
    assert_eq!(machine.state().err.iter().filter(|byte| **byte == b'\n').count(), MAX_TOLD);
}

#[test]
fn names_have_one_form() {
    assert_eq!(canonical_name("IMAP.Example.org.").as_deref(), Some("imap.example.org"));
    assert_eq!(canonical_name("_srv.a-b").as_deref(), Some("_srv.a-b"));
    for wrong in ["", ".", "a..b", "a b", "a\u{1b}[31m", "ä.org", &"a".repeat(64), &["abcdefg"; 40].join(".")] {
        assert_eq!(canonical_name(wrong), None, "{wrong}");
    }
}

#[test]
fn frames_are_granted_port_by_port() {
    let grants = Grants { link: "eth0 eth2", ..Grants::default() };
    assert!(!grants.is_empty());
    let policy = Policy::new(grants, None);
    assert!(policy.link("eth0") && policy.link("eth2") && !policy.link("eth1") && !policy.link(""));
    assert_eq!(policy.connect(Tcp, at("127.0.0.1:1")), DENIED);
}
