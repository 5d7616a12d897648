//! Connections between two stacks, on cables good and bad.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use mwasm_plan::net::{Ipv4, Net};
use mwasm_ports::faulty::DeviceFaults;
use mwasm_ports::network::{NetError, Network, TcpListener, TcpOptions};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};

/// Sends `there` one way and `back` the other, at once, and closes both ways.
fn transfer(pair: &Pair, there: &[u8], back: &[u8]) {
    let listener = pair.listen(80, 16);
    pair.run(async {
        let stream = pair.start(80);
        connected(&*stream).await.unwrap();
        let served = accept(&*listener).await;
        let (stream, served) = (&*stream, &*served);
        let results = all::<(usize, u64)>(vec![
            Box::pin(async move {
                write_all(stream, there).await.unwrap();
                stream.shutdown_send().unwrap();
                (0, 0)
            }),
            Box::pin(async move {
                write_all(served, back).await.unwrap();
                served.shutdown_send().unwrap();
                (0, 0)
            }),
            Box::pin(async move {
                let all = read_to_end(served).await.unwrap();
                (all.len(), digest(&all))
            }),
            Box::pin(async move {
                let all = read_to_end(stream).await.unwrap();
                (all.len(), digest(&all))
            }),
        ])
        .await;
        assert_eq!(results[2], (there.len(), digest(there)));
        assert_eq!(results[3], (back.len(), digest(back)));
    });
}

#[test]
fn a_megabyte_each_way() {
    for seed in [1, 2] {
        let pair = Pair::new(DeviceFaults::default(), seed);
        transfer(&pair, &noise(1, 1 << 20), &noise(2, 1 << 20));
        assert_eq!(pair.server.statistics().frames_dropped, 0);
    }
}

#[test]
fn transfers_survive_bad_cables() {
    // 26 of 256 are 10 %.
    let all = DeviceFaults { lose: 8, duplicate: 8, reorder: 8, corrupt: 8, cut: 4, ..DeviceFaults::default() };
    let faults = [
        DeviceFaults { lose: 26, ..DeviceFaults::default() },
        DeviceFaults { duplicate: 26, ..DeviceFaults::default() },
        DeviceFaults { reorder: 26, ..DeviceFaults::default() },
        DeviceFaults { corrupt: 26, ..DeviceFaults::default() },
        DeviceFaults { full: 128, refuse: 26, ..DeviceFaults::default() },
        all,
    ];
    for (number, faults) in faults.into_iter().enumerate() {
        for seed in 1..4 {
            let pair = Pair::new(faults, seed);
            transfer(&pair, &noise(1, 100_000), &noise(2, 100_000));
            let taken_s = pair.world.now() / SECOND;
            assert!(taken_s < 1200, "faults {number}, seed {seed}: {taken_s} s");
        }
    }
}

#[test]
fn a_thousand_short_connections_leave_nothing_behind() {
    let pair = Pair::new(DeviceFaults::default(), 1);
    let listener = pair.listen(80, 16);
    pair.run(async {
        for number in 0..1000_u32 {
            let stream = pair.start(80);
            connected(&*stream).await.unwrap();
            let served = accept(&*listener).await;
            write_all(&*stream, &number.to_be_bytes()).await.unwrap();
            let mut bytes = [0; 4];
            assert_eq!(read(&*served, &mut bytes).await, Ok(4));
            write_all(&*served, &bytes).await.unwrap();
            drop(served);
            assert_eq!(read_to_end(&*stream).await.unwrap(), number.to_be_bytes());
        }
        pair.world.sleep(SECOND).await;
        for stack in [&pair.server, &pair.client] {
            let statistics = stack.statistics();
            assert_eq!((statistics.connections, statistics.half_open), (0, 0));
        }
        // A few ports were drawn twice: their second connection ended the wait of the first.
        assert!((900..=1000).contains(&pair.server.statistics().time_waits));
        pair.world.sleep(20 * SECOND).await;
        pair.server.advance();
        assert_eq!(pair.server.statistics().time_waits, 0);
    });
    assert!(pair.world.now() < 60 * SECOND);
}

#[test]
fn an_idle_stack_has_no_deadline() {
    let pair = Pair::new(DeviceFaults::default(), 1);
    let listener = pair.listen(80, 16);
    pair.run(async {
        let stream = pair.start(80);
        connected(&*stream).await.unwrap();
        let served = accept(&*listener).await;
        write_all(&*stream, b"hello").await.unwrap();
        assert_eq!(read(&*served, &mut [0; 8]).await, Ok(5));
        pair.world.sleep(5 * SECOND).await;
        assert_eq!((pair.server.deadline_ns(), pair.client.deadline_ns()), (None, None));
        let before = pair.world.steps.get();
        pair.world.sleep(3600 * SECOND).await;
        assert!(pair.world.steps.get() < before + 5, "nobody woke in that hour");
        write_all(&*stream, b"still here").await.unwrap();
        assert_eq!(read(&*served, &mut [0; 16]).await, Ok(10));
    });
}

/// A program that wrote its answer and ended took it along when its machine was switched off.
#[test]
fn a_machine_learns_when_it_may_go_away() {
    let pair = Pair::new(DeviceFaults { lose: 26, ..DeviceFaults::default() }, 5);
    let listener = pair.listen(80, 16);
    let sent = noise(3, 50_000);
    pair.run(async {
        let stream = pair.start(80);
        connected(&*stream).await.unwrap();
        let served = accept(&*listener).await;
        write_all(&*stream, &sent).await.unwrap();
        drop(stream);
        let mut context = Context::from_waker(Waker::noop());
        assert!(pair.client.poll_settled(&mut context).is_pending(), "nothing has been acknowledged yet");
        poll_fn(|context| pair.client.poll_settled(context)).await;
        // The client's machine is gone; all of it is here.
        assert!(read_to_end(&*served).await.unwrap() == sent);
    });
}

#[test]
fn nobody_listens() {
    let pair = Pair::new(DeviceFaults::default(), 1);
    pair.run(async {
        assert_eq!(connected(&*pair.start(81)).await, Err(NetError::ConnectionRefused));
        let nobody = start(&pair.client, "10.0.0.77:80".parse().unwrap()).unwrap();
        let before = pair.world.now();
        assert_eq!(connected(&*nobody).await, Err(NetError::RemoteUnreachable));
        assert!(pair.world.now() - before < 10 * SECOND);
        assert_eq!(start(&pair.client, "192.0.2.1:80".parse().unwrap()).err(), Some(NetError::RemoteUnreachable));
    });
}

#[test]
fn a_machine_behind_the_router_that_never_answers_is_given_up() {
    let router = SERVER.parse().unwrap();
    let ipv4 = Ipv4::Static { address: CLIENT.parse().unwrap(), prefix_bits: 24, gateway: Some(router) };
    let pair = Pair::with(DeviceFaults::default(), 1, &fixed(SERVER), &Net { ipv4, ..fixed(CLIENT) });
    pair.run(async {
        let stream = start(&pair.client, "192.0.2.1:80".parse().unwrap()).unwrap();
        assert_eq!(connected(&*stream).await, Err(NetError::Timeout));
        assert!((60..130).contains(&(pair.world.now() / SECOND)));
    });
}

#[test]
fn a_full_backlog_lets_others_in_when_there_is_room() {
    let pair = Pair::new(DeviceFaults::default(), 1);
    let listener = pair.listen(80, 3);
    pair.run(async {
        let streams: Vec<_> = (0..10).map(|_| pair.start(80)).collect();
        pair.world.sleep(SECOND / 2).await;
        assert!(pair.server.statistics().connections == 3);
        let mut served = Vec::new();
        for _ in 0..10 {
            served.push(accept(&*listener).await);
        }
        for stream in &streams {
            assert_eq!(connected(&**stream).await, Ok(()));
        }
        for stream in served {
            write_all(&*stream, b"served").await.unwrap();
        }
        for stream in &streams {
            assert_eq!(read_to_end(&**stream).await.unwrap(), b"served");
        }
    });
    assert!(pair.world.now() < 30 * SECOND);
}

#[test]
fn a_flood_of_syns_does_not_lock_others_out() {
    let pair = Pair::new(DeviceFaults::default(), 2);
    let listener = pair.listen(80, 16);
    pair.run(async {
        // The first connection tells both where the other is.
        let first = pair.start(80);
        connected(&*first).await.unwrap();
        let _first = accept(&*listener).await;
        let mut flooded = 0_u32;
        for round in 0..20_u32 {
            for _ in 0..200 {
                flooded += 1;
                pair.client_end.inject(&syn_from(flooded));
            }
            let stream = pair.start(80);
            connected(&*stream).await.unwrap();
            let served = accept(&*listener).await;
            write_all(&*stream, &round.to_be_bytes()).await.unwrap();
            assert_eq!(read(&*served, &mut [0; 4]).await, Ok(4));
        }
        let statistics = pair.server.statistics();
        assert!(statistics.half_open <= 1024 && statistics.connections < 60, "{statistics:?}");
        pair.world.sleep(60 * SECOND).await;
        assert_eq!(pair.server.statistics().half_open, 0);
    });
}

/// A SYN to the server from an address that nobody has.
fn syn_from(number: u32) -> Vec<u8> {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::*;
    let checksums = ChecksumCapabilities::default();
    let [_, b, c, d] = number.to_be_bytes();
    let (from, to) = (IpAddress::v4(198, 18 | b & 1, c, d.max(1)), IpAddress::v4(10, 0, 0, 1));
    let tcp = TcpRepr {
        src_port: 1024 + (number % 60_000) as u16,
        dst_port: 80,
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(number as i32),
        ack_number: None,
        window_len: 1000,
        window_scale: Some(7),
        max_seg_size: Some(1460),
        sack_permitted: true,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let ip = IpRepr::new(from, to, IpProtocol::Tcp, tcp.buffer_len(), 64);
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress([2, 0, 0, 0, 0, 2]),
        dst_addr: EthernetAddress([2, 0, 0, 0, 0, 1]),
        ethertype: EthernetProtocol::Ipv4,
    };
    let mut frame = vec![0; 14 + ip.buffer_len()];
    ethernet.emit(&mut EthernetFrame::new_unchecked(&mut frame[..]));
    ip.emit(&mut frame[14..], &checksums);
    let start = 14 + ip.header_len();
    tcp.emit(&mut TcpPacket::new_unchecked(&mut frame[start..]), &from, &to, &checksums);
    frame
}

#[test]
fn slow_readers_stop_writers_and_nothing_is_lost() {
    let pair = Pair::new(DeviceFaults::default(), 1);
    let listener = pair.listen(80, 16);
    let sent = noise(3, 500_000);
    pair.run(async {
        let stream = pair.start(80);
        connected(&*stream).await.unwrap();
        let served = accept(&*listener).await;
        let (stream, served, sent) = (&*stream, &*served, &sent);
        all::<()>(vec![
            Box::pin(async move {
                write_all(stream, sent).await.unwrap();
                stream.shutdown_send().unwrap();
            }),
            Box::pin(async {
                // Longer than a silent peer is suffered: one that does answer may be as slow as it likes.
                pair.world.sleep(400 * SECOND).await;
                let (mut all, mut buffer) = (Vec::new(), [0; 30_000]);
                loop {
                    pair.world.sleep(SECOND).await;
                    match read(served, &mut buffer).await.unwrap() {
                        0 => break,
                        bytes => all.extend_from_slice(&buffer[..bytes]),
                    }
                }
                assert_eq!(digest(&all), digest(sent));
            }),
        ])
        .await;
    });
}

#[test]
fn slow_writers_are_waited_for() {
    let pair = Pair::new(DeviceFaults { lose: 13, ..DeviceFaults::default() }, 2);
    let listener = pair.listen(80, 16);
    pair.run(async {
        let stream = pair.start(80);
        connected(&*stream).await.unwrap();
        let served = accept(&*listener).await;
        for byte in 0..100_u8 {
            write_all(&*stream, &[byte]).await.unwrap();
            pair.world.sleep(30 * SECOND).await;
        }
        drop(stream);
        assert_eq!(read_to_end(&*served).await.unwrap(), (0..100).collect::<Vec<u8>>());
    });
}

#[test]
fn what_was_sent_arrives_though_the_sender_let_go() {
    let pair = Pair::new(DeviceFaults { lose: 13, ..DeviceFaults::default() }, 1);
    let listener = pair.listen(80, 16);
    let sent = noise(4, 60_000);
    pair.run(async {
        let stream = pair.start(80);
        connected(&*stream).await.unwrap();
        let served = accept(&*listener).await;
        write_all(&*stream, &sent).await.unwrap();
        drop(stream);
        assert_eq!(read_to_end(&*served).await.unwrap(), sent);
        // The reader reads what is there even long after both sides are closed.
        write_all(&*served, b"nobody wants this").await.unwrap();
        drop(served);
        pair.world.sleep(120 * SECOND).await;
        assert_eq!((pair.server.statistics().connections, pair.client.statistics().connections), (0, 0));
    });
}

#[test]
fn what_came_can_be_read_long_after_both_sides_closed() {
    let pair = Pair::new(DeviceFaults::default(), 1);
    let listener = pair.listen(80, 16);
    pair.run(async {
        let stream = pair.start(80);
        connected(&*stream).await.unwrap();
        let served = accept(&*listener).await;
        write_all(&*served, b"the last words").await.unwrap();
        stream.shutdown_send().unwrap();
        drop(served);
        pair.world.sleep(300 * SECOND).await;
        assert_eq!(read_to_end(&*stream).await.unwrap(), b"the last words");
    });
}

#[test]
fn an_abort_is_a_reset() {
    let pair = Pair::new(DeviceFaults::default(), 1);
    let listener = pair.listen(80, 16);
    pair.run(async {
        let stream = pair.start(80);
        connected(&*stream).await.unwrap();
        let served = accept(&*listener).await;
        stream.abort();
        assert_eq!(read(&*served, &mut [0; 8]).await, Err(NetError::ConnectionReset));
        assert_eq!(read(&*stream, &mut [0; 8]).await, Err(NetError::ConnectionAborted));
        assert_eq!(write_all(&*served, b"x").await, Err(NetError::ConnectionReset));
        drop((stream, served));
        pair.world.sleep(SECOND).await;
        assert_eq!((pair.server.statistics().connections, pair.client.statistics().connections), (0, 0));
    });
}

#[test]
fn keep_alive_finds_out_that_the_other_side_is_gone() {
    let pair = Pair::new(DeviceFaults::default(), 1);
    let listener = pair.listen(80, 16);
    pair.run(async {
        let stream = pair.start(80);
        connected(&*stream).await.unwrap();
        let served = accept(&*listener).await;
        let options = TcpOptions {
            keep_alive: true,
            keep_alive_idle_ns: 60 * SECOND,
            keep_alive_interval_ns: 10 * SECOND,
            keep_alive_count: 3,
            ..TcpOptions::default()
        };
        served.set_options(&options).unwrap();
        // Probes are answered for as long as somebody is there.
        pair.world.sleep(1000 * SECOND).await;
        write_all(&*stream, b"x").await.unwrap();
        assert_eq!(read(&*served, &mut [0; 8]).await, Ok(1));
        pair.faulty[1].set(DeviceFaults { lose: 255, ..DeviceFaults::default() });
        pair.faulty[0].set(DeviceFaults { lose: 255, ..DeviceFaults::default() });
        let before = pair.world.now();
        assert_eq!(read(&*served, &mut [0; 8]).await, Err(NetError::ConnectionBroken));
        let taken_s = (pair.world.now() - before) / SECOND;
        assert!((80..=110).contains(&taken_s), "{taken_s} s");
    });
}

#[test]
fn silence_breaks_a_connection_that_waits_for_an_answer() {
    let pair = Pair::new(DeviceFaults::default(), 1);
    let listener = pair.listen(80, 16);
    pair.run(async {
        let stream = pair.start(80);
        connected(&*stream).await.unwrap();
        let _served = accept(&*listener).await;
        pair.faulty[0].set(DeviceFaults { lose: 255, ..DeviceFaults::default() });
        pair.faulty[1].set(DeviceFaults { lose: 255, ..DeviceFaults::default() });
        write_all(&*stream, b"anybody there?").await.unwrap();
        let late = pair.start(80);
        assert_eq!(connected(&*late).await, Err(NetError::RemoteUnreachable));
        assert_eq!(read(&*stream, &mut [0; 8]).await, Err(NetError::ConnectionBroken));
        assert!((100..400).contains(&(pair.world.now() / SECOND)));
    });
}

#[test]
fn sockets_are_limited_and_closing_ones_make_room() {
    let mut net = fixed(CLIENT);
    net.buffers.max_sockets = 8;
    let pair = Pair::with(DeviceFaults::default(), 1, &fixed(SERVER), &net);
    let listener = pair.listen(80, 64);
    pair.run(async {
        let mut streams: Vec<_> = (0..8).map(|_| pair.start(80)).collect();
        let ninth = start(&pair.client, SocketAddr::new(SERVER.parse().unwrap(), 80));
        assert_eq!(ninth.err(), Some(NetError::NewSocketLimit));
        for stream in &streams {
            connected(&**stream).await.unwrap();
        }
        // The server never closes its side, so these linger; but they give way to new ones.
        let mut served = Vec::new();
        for _ in 0..3 {
            streams.clear();
            pair.world.sleep(SECOND).await;
            streams = (0..8).map(|_| pair.start(80)).collect();
            for stream in &streams {
                connected(&**stream).await.unwrap();
                served.push(accept(&*listener).await);
            }
        }
    });
}

#[test]
fn a_machine_talks_to_itself() {
    let pair = Pair::new(DeviceFaults::default(), 1);
    for (at, to) in [("127.0.0.1:90", "127.0.0.1:90"), ("0.0.0.0:91", "10.0.0.1:91"), ("[::1]:90", "[::1]:90")] {
        let listener = listen(&pair.server, at.parse().unwrap(), 4);
        let sent = noise(5, 300_000);
        pair.run(async {
            let stream = start(&pair.server, to.parse().unwrap()).unwrap();
            connected(&*stream).await.unwrap();
            let served = accept(&*listener).await;
            assert_eq!((stream.local(), stream.remote()), (served.remote(), served.local()));
            let (stream, served, sent) = (&*stream, &*served, &sent);
            all::<()>(vec![
                Box::pin(async move {
                    write_all(stream, sent).await.unwrap();
                    stream.shutdown_send().unwrap();
                }),
                Box::pin(async move { assert_eq!(read_to_end(served).await.unwrap(), *sent) }),
            ])
            .await;
        });
    }
    assert_eq!(pair.server.statistics().frames_sent, 0, "nothing left the machine");
    pair.run(async {
        let refused = start(&pair.server, "127.0.0.1:99".parse().unwrap()).unwrap();
        assert_eq!(connected(&*refused).await, Err(NetError::ConnectionRefused));
    });
}

#[test]
fn addresses_are_this_machines_and_one_socket_has_each() {
    let pair = Pair::new(DeviceFaults::default(), 1);
    let bind = |text: &str| pair.server.bind_tcp(text.parse().unwrap());
    assert_eq!(bind("10.0.0.9:80").err(), Some(NetError::AddressNotBindable));
    let bound = bind("0.0.0.0:80").unwrap();
    assert_eq!(bind("10.0.0.1:80").err(), Some(NetError::AddressInUse));
    assert!(bind("[::]:80").is_ok());
    drop(bound);
    assert!(bind("10.0.0.1:80").is_ok());
    let listener: Box<dyn TcpListener> = bind("0.0.0.0:0").unwrap().listen(1, &TcpOptions::default()).ok().unwrap();
    assert!(listener.local().port() >= 49_152);
}

#[test]
fn an_unplugged_cable_stops_a_transfer_and_a_plugged_one_goes_on() {
    let pair = Pair::new(DeviceFaults::default(), 1);
    let listener = pair.listen(80, 16);
    let sent = noise(6, 400_000);
    pair.run(async {
        let stream = pair.start(80);
        connected(&*stream).await.unwrap();
        let served = accept(&*listener).await;
        let (stream, served, sent) = (&*stream, &*served, &sent);
        all::<()>(vec![
            Box::pin(async move {
                write_all(stream, &sent[..100_000]).await.unwrap();
                write_all(stream, &sent[100_000..]).await.unwrap();
                stream.shutdown_send().unwrap();
            }),
            Box::pin(async {
                let mut first = vec![0; 50_000];
                let mut got = 0;
                while got < first.len() {
                    got += read(served, &mut first[got..]).await.unwrap();
                }
                pair.server_end.plug(false);
                pair.world.sleep(40 * SECOND).await;
                assert!(poll_fn(|context| Poll::Ready(served.poll_sendable(context).is_ready())).await);
                pair.server_end.plug(true);
                first.extend(read_to_end(served).await.unwrap());
                assert_eq!(digest(&first), digest(sent));
            }),
        ])
        .await;
    });
}
