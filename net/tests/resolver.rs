//! The resolver against servers that are good, lossy, hostile or not there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use mwasm_net::resolver::Resolver;
use mwasm_plan::net::Net;
use mwasm_ports::faulty::DeviceFaults;
use mwasm_ports::network::{NetError, Network};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// How a name server behaves.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Good,
    Silent,
    Refuses,
    /// Sends answers with other identifiers, from other ports, and to other questions first.
    Forged,
    /// Cuts every answer off, so that it must be asked over TCP.
    Short,
}

fn client_net() -> Net<'static> {
    let mut net = fixed(CLIENT);
    net.dns = vec![SERVER.parse().unwrap()];
    net
}

/// The answer of a zone in which `www.example` has two addresses, `alias.example` is `www.example`, and nothing else is.
fn reply(question: &[u8], truncated: bool) -> Vec<u8> {
    let name_end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let kind = u16::from_be_bytes([question[name_end], question[name_end + 1]]);
    let name = &question[12..name_end];
    let www = b"\x03www\x07example\x00";
    let mut records: Vec<(&[u8], u16, Vec<u8>)> = Vec::new();
    let is_alias = name == b"\x05alias\x07example\x00";
    let known = is_alias || name == www;
    if is_alias {
        records.push((name, 5, www.to_vec()));
    }
    if known {
        records.push((www, kind, if kind == 1 { vec![192, 0, 2, 7] } else { vec![0x20; 16] }));
    }
    let mut message = question[..name_end + 4].to_vec();
    message[2..4].copy_from_slice(&if known { [0x81, 0x80] } else { [0x81, 0x83] });
    if truncated {
        message[2] |= 2;
        records.clear();
    }
    message[7] = records.len() as u8;
    for (name, kind, data) in records {
        message.extend_from_slice(name);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 60]);
        message.extend((data.len() as u16).to_be_bytes());
        message.extend(data);
    }
    message
}

/// Answers questions for ever, and counts them.
async fn serve(
    stack: Arc<mwasm_net::Stack>,
    manner: Manner,
    count: &std::cell::Cell<u32>,
) -> Result<Vec<IpAddr>, NetError> {
    let socket = stack.bind_udp("0.0.0.0:53".parse().unwrap()).unwrap();
    let other = stack.bind_udp("0.0.0.0:54".parse().unwrap()).unwrap();
    loop {
        let (question, from) = receive(&*socket).await;
        count.set(count.get() + 1);
        let good = reply(&question, manner == Manner::Short);
        match manner {
            Manner::Silent => continue,
            Manner::Refuses => {
                let mut refused = good;
                refused[3] = 0x85;
                send(&*socket, &refused, from).await.unwrap();
                continue;
            }
            Manner::Forged => {
                for change in [0, 1, 2, 15] {
                    let mut forged = good.clone();
                    if let Some(byte) = forged.get_mut(change) {
                        *byte ^= 0x80;
                    }
                    forged.truncate(forged.len() - usize::from(change == 2));
                    send(&*socket, &forged, from).await.unwrap();
                }
                let mut wrong = good.clone();
                *wrong.last_mut().unwrap() = 66;
                send(&*other, &wrong, from).await.unwrap();
                send(&*socket, &[], from).await.unwrap();
                send(&*socket, &noise(9, 1000), from).await.unwrap();
            }
            Manner::Good | Manner::Short => {}
        }
        send(&*socket, &good, from).await.unwrap();
    }
}

/// Answers questions over TCP for ever.
async fn serve_tcp(stack: Arc<mwasm_net::Stack>) -> Result<Vec<IpAddr>, NetError> {
    let listener = listen(&stack, "0.0.0.0:53".parse().unwrap(), 4);
    loop {
        let stream = accept(&*listener).await;
        let mut bytes = [0; 512];
        let got = read(&*stream, &mut bytes).await.unwrap();
        let message = reply(&bytes[2..got], false);
        write_all(&*stream, &(message.len() as u16).to_be_bytes()).await.unwrap();
        write_all(&*stream, &message).await.unwrap();
    }
}

/// Resolves `names` one after the other; returns what came out and how often the server was asked.
fn resolve(manner: Manner, faults: DeviceFaults, names: &[&str]) -> (Vec<Result<Vec<IpAddr>, NetError>>, u32, u64) {
    let pair = Pair::with(faults, 2, &fixed(SERVER), &client_net());
    let network: Arc<dyn Network> = pair.client.clone();
    let resolver = Resolver::new(pair.world.machine.clone(), pair.world.timer(), 5);
    let count = std::cell::Cell::new(0);
    let results = pair.run(async {
        let server = std::pin::pin!(serve(pair.server.clone(), manner, &count));
        let tcp = std::pin::pin!(serve_tcp(pair.server.clone()));
        let client = std::pin::pin!(async {
            let mut results = Vec::new();
            for name in names {
                results.push(resolver.resolve(&network, name).await);
            }
            results
        });
        first(client, server, tcp).await
    });
    (results, count.get(), pair.world.now())
}

async fn first<T, U>(
    mut one: impl Future<Output = T> + Unpin,
    mut two: impl Future<Output = U> + Unpin,
    mut three: impl Future<Output = U> + Unpin,
) -> T {
    std::future::poll_fn(move |context| {
        let _ = std::pin::Pin::new(&mut two).poll(context);
        let _ = std::pin::Pin::new(&mut three).poll(context);
        std::pin::Pin::new(&mut one).poll(context)
    })
    .await
}

fn www() -> Vec<IpAddr> {
    vec!["192.0.2.7".parse().unwrap(), IpAddr::from([0x2020_u16; 8])]
}

#[test]
fn names_aliases_and_the_cache() {
    let names = ["www.example", "WWW.Example.", "alias.example", "none.example", "none.example"];
    let (results, asked, _) = resolve(Manner::Good, DeviceFaults::default(), &names);
    assert_eq!(results[0], Ok(www()));
    assert_eq!(results[1], Ok(www()));
    assert_eq!(results[2], Ok(www()));
    assert_eq!(results[3], Err(NetError::NameUnresolvable));
    assert_eq!(results[4], Err(NetError::NameUnresolvable));
    assert_eq!(asked, 6, "two questions for each name that was not known");
}

#[test]
fn some_names_need_no_server() {
    let names = ["192.0.2.1", "2001:db8::1", "localhost", "a.localhost.", "not a name", "x..y"];
    let (results, asked, _) = resolve(Manner::Silent, DeviceFaults::default(), &names);
    assert_eq!(results[0], Ok(vec!["192.0.2.1".parse().unwrap()]));
    assert_eq!(results[1], Ok(vec!["2001:db8::1".parse().unwrap()]));
    assert!(results[2].as_ref().unwrap().iter().all(IpAddr::is_loopback));
    assert!(results[3].as_ref().unwrap().iter().all(IpAddr::is_loopback));
    assert_eq!(results[4..], [Err(NetError::InvalidArgument), Err(NetError::InvalidArgument)]);
    assert_eq!(asked, 0);
}

#[test]
fn servers_that_are_silent_or_refuse() {
    let (results, asked, now) = resolve(Manner::Silent, DeviceFaults::default(), &["www.example"]);
    assert_eq!((&results[0], asked), (&Err(NetError::TemporaryResolverFailure), 6));
    assert!((5..10).contains(&(now / SECOND)));
    let (results, _, _) = resolve(Manner::Refuses, DeviceFaults::default(), &["www.example"]);
    assert_eq!(results[0], Err(NetError::PermanentResolverFailure));
}

#[test]
fn forged_answers_are_not_believed() {
    let (results, _, _) = resolve(Manner::Forged, DeviceFaults::default(), &["www.example", "alias.example"]);
    assert_eq!(results, [Ok(www()), Ok(www())]);
}

#[test]
fn answers_that_are_cut_off_are_asked_for_again_over_tcp() {
    let (results, _, _) = resolve(Manner::Short, DeviceFaults::default(), &["www.example"]);
    assert_eq!(results[0], Ok(www()));
}

#[test]
fn lost_questions_are_asked_again() {
    let faults = DeviceFaults { lose: 60, corrupt: 26, duplicate: 26, ..DeviceFaults::default() };
    let names: Vec<String> = (0..10).map(|_| "www.example".to_string()).collect();
    for name in &names {
        let (results, _, _) = resolve(Manner::Good, faults, &[name]);
        assert!(results[0].is_ok(), "{results:?}");
    }
}

#[test]
fn the_future_can_be_sent() {
    fn is_send<T: Send>(_: &T) {}
    let pair = Pair::new(DeviceFaults::default(), 1);
    let network: Arc<dyn Network> = pair.client.clone();
    let resolver = Resolver::new(pair.world.machine.clone(), pair.world.timer(), 5);
    is_send(&resolver.resolve(&network, "www.example"));
    let _: SocketAddr = "127.0.0.1:1".parse().unwrap();
}
