use super::*;
use mwasm_plan::net::{Instances, Ipv4, Ipv6};
use values::Address;

const WHOLE: &str = r#"
[app]
component = "app.wasm"
args = ["a", "b c"]
preinit = true

[config]
greeting = "hello"
retries = 3
debug = false

[env]
LANG = "C"

[net]
listen = ["tcp:80"]
connect = ["tcp:imap.example.org:993"]
address = ["10.0.0.2/24", "fd00::2/64"]
gateway = "10.0.0.1"
dns = ["10.0.0.1", "fd00::1"]
hostname = "web"
buffers = { receive = "128KiB" }

[http]
port = 8000
instances = "fresh"
max-head = "8KiB"
idle-timeout = "2min"

[memory]
heap = "64MiB"
stack = 2097152

[embed]
"/site" = "public/"

[plugins]
auth = "auth.wasm"

[target.xen]
memory = { heap = "32MiB" }
env = ["LANG=de", "XEN=1"]
net = { listen = [], address = "dhcp", gateway = [], buffers = { send = 65536 } }
http = { port = 80 }
"#;

fn parse(text: &str) -> Result<Manifest> {
    Manifest::parse("mwasm.toml", text, Path::new("/project"))
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn endpoints_are_places_with_names() {
    let text = "[net.endpoints]\nmail = \"tcp:imap.example.org:993\"\nadmin = \"listen:tcp:8081\"\n[target.xen.net.endpoints]\nmail = \"tcp:10.0.0.5:993\"\n";
    let manifest = Manifest::parse("mwasm.toml", text, Path::new("")).unwrap();
    let of = |target| manifest.layer(target).net.endpoints;
    let pair = |name: &str, place: &str| (name.to_owned(), place.to_owned());
    assert_eq!(of(Target::Arm), [pair("mail", "tcp:imap.example.org:993"), pair("admin", "listen:tcp:8081")]);
    assert_eq!(of(Target::Xen), [pair("mail", "tcp:10.0.0.5:993"), pair("admin", "listen:tcp:8081")]);
    let wrong = Manifest::parse("mwasm.toml", "[net.endpoints]\nmail = \"tcp:*:993\"\n", Path::new("")).unwrap_err();
    assert!(wrong.to_string().contains("mail"), "{wrong}");
}

#[test]
fn a_whole_manifest() {
    let layer = parse(WHOLE).unwrap().layer(Target::Desktop);
    let wanted = Layer {
        component: Some("/project/app.wasm".into()),
        args: Some(vec!["a".into(), "b c".into()]),
        preinit: Some(Preinit::Call(INITIALIZER.into())),
        verbose: None,
        env: pairs(&[("LANG", "C")]),
        config: pairs(&[("greeting", "hello"), ("retries", "3"), ("debug", "false")]),
        listen: Some(vec![Listen::parse("tcp:80").unwrap()]),
        connect: Some(vec!["tcp:imap.example.org:993".into()]),
        net: NetLayer {
            address: Some(vec![Address::parse("10.0.0.2/24").unwrap(), Address::parse("fd00::2/64").unwrap()]),
            gateway: Some(vec![[10, 0, 0, 1].into()]),
            dns: Some(vec![[10, 0, 0, 1].into(), "fd00::1".parse().unwrap()]),
            hostname: Some("web".into()),
            receive_bytes: Some(128 << 10),
            ..NetLayer::default()
        },
        http: HttpLayer {
            port: Some(8000),
            instances: Some(Instances::Fresh),
            max_head_bytes: Some(8 << 10),
            idle_timeout_ms: Some(120_000),
            ..HttpLayer::default()
        },
        heap_bytes: Some(64 << 20),
        stack_bytes: Some(2 << 20),
        embed: vec![("/site".into(), "/project/public/".into())],
        plugins: vec![("auth".into(), "/project/auth.wasm".into())],
    };
    assert_eq!(layer, wanted);
}

#[test]
fn a_target_lies_over_the_base() {
    let layer = parse(WHOLE).unwrap().layer(Target::Xen);
    assert_eq!(layer.heap_bytes, Some(32 << 20));
    assert_eq!(layer.stack_bytes, Some(2 << 20));
    assert_eq!(layer.env, pairs(&[("LANG", "de"), ("XEN", "1")]));
    assert_eq!(layer.listen, Some(vec![]));
    assert_eq!(layer.connect.unwrap().len(), 1);
    let net = layer.net.net(layer.net.addresses().unwrap(), layer.http.http(80));
    assert_eq!((net.ipv4, net.ipv6), (Ipv4::Dhcp, Ipv6::Auto));
    assert_eq!((net.buffers.receive_bytes, net.buffers.send_bytes), (128 << 10, 64 << 10));
    assert_eq!((layer.http.port, net.http.instances, net.hostname), (Some(80), Instances::Fresh, "web"));
}

#[test]
fn a_family_is_off_that_nothing_configures() {
    let net = |text: &str| parse(text).unwrap().layer(Target::Xen).net.addresses().map_err(|error| error.to_string());
    let ipv4 = Ipv4::Static { address: [10, 0, 0, 2].into(), prefix_bits: 24, gateway: Some([10, 0, 0, 1].into()) };
    let address = "fd00::2".parse().unwrap();
    let ipv6 = Ipv6::Static { address, prefix_bits: 64, gateway: None };
    assert_eq!(net(""), Ok((Ipv4::Dhcp, Ipv6::Auto)));
    assert_eq!(net("[net]\naddress = \"dhcp\""), Ok((Ipv4::Dhcp, Ipv6::Auto)));
    assert_eq!(net("[net]\naddress = \"10.0.0.2/24\"\ngateway = \"10.0.0.1\""), Ok((ipv4, Ipv6::Off)));
    assert_eq!(net("[net]\naddress = [\"dhcp\", \"fd00::2/64\"]"), Ok((Ipv4::Dhcp, ipv6)));
    let error = net("[net]\naddress = \"fd00::2/64\"\ngateway = \"10.0.0.1\"").unwrap_err();
    assert!(error.contains("gateway 10.0.0.1"), "{error}");
}

#[test]
fn an_empty_manifest_says_nothing() {
    assert_eq!(parse("").unwrap(), Manifest::default());
}

/// Each mistake: the line that is pointed at, a part of the message, and a part of the advice.
#[test]
fn mistakes_have_a_line_and_advice() {
    let table = [
        ("[app]\ncomponnent = \"a\"", 2, "unknown key 'componnent'", "did you mean 'component'?"),
        ("\n\n[nett]", 3, "unknown section 'nett'", "did you mean 'net'?"),
        ("[zzzzzz]", 1, "unknown section 'zzzzzz'", "known here: app, config"),
        ("[target.xne]", 1, "unknown target 'xne'", "did you mean 'xen'?"),
        ("[target.xen.app]\nargz = []", 2, "unknown key 'argz'", "did you mean 'args'?"),
        ("[app]\nargs = \"a\"", 2, "'args' must be a list of texts, found 'a'", ""),
        ("[app]\nargs = [1]", 2, "'args' must be a text in quotes, found an integer", ""),
        ("[app]\nenv = 3", 2, "'env' must be a table", ""),
        ("[app]\nenv = [\"A\"]", 2, "'env' must be NAME=VALUE, found 'A'", ""),
        ("[app]\npreinit = 1", 2, "'preinit' must be true, false or the name of an export", ""),
        ("[net]\nlisten = [\"tcp:80\",\n \"tcp:x\"]", 3, "'listen' must be tcp:PORT", ""),
        ("[net]\nconnect = [\"tcp:80\"]", 2, "'connect' must be tcp:HOST:PORT", ""),
        ("[storage]\nsize = 1", 1, "'storage' is not served", "remove it"),
        ("[net]\naddress = \"10.0.0.2\"", 2, "'address' must be \"dhcp\" or an address with", ""),
        ("[net]\naddress = [\"dhcp\",\n \"10.0.0.300/8\"]", 3, "found '10.0.0.300/8'", ""),
        ("[net]\naddress = [\"10.0.0.1/8\", \"10.0.0.2/8\"]", 2, "at most one of each family", ""),
        ("[net]\naddress = []", 2, "at least one address", ""),
        ("[net]\ngateway = \"router\"", 2, "'gateway' must be an IP address, found 'router'", ""),
        ("[net]\ndns = [1]", 2, "'dns' must be a text in quotes", ""),
        ("[net]\nhostname = \"a b\"", 2, "'hostname' must be a name of letters", ""),
        ("[net]\ntap = \"a/b\"", 2, "'tap' must be the name of a TAP device", ""),
        ("[net]\nbuffers = { recieve = 1 }", 2, "unknown key 'recieve'", "did you mean 'receive'?"),
        ("[net.buffers]\nsend = \"1KiB\"", 2, "from 4096 to 1073741824 bytes, found '1KiB'", ""),
        ("[net.buffers]\nmax-sockets = 0", 2, "'max-sockets' must be a number from 1", ""),
        ("[net]\nlink = [\"eth0\", \"a/b\"]", 2, "found 'a/b'", ""),
        ("[http]\nmax-instructions = 0", 2, "'max-instructions' must be a number from 1", ""),
        ("[http]\nport = 65536", 2, "'port' must be a port from 1 to 65535", ""),
        ("[http]\ninstances = \"own\"", 2, "'instances' must be \"shared\", \"pooled\" or \"fresh\"", ""),
        ("[http]\nidle-timeout = 30", 2, "'idle-timeout' must be a time such as \"30s\"", ""),
        ("[http]\nmax-bodies = 30", 2, "unknown key 'max-bodies'", "did you mean 'max-body'?"),
        ("[memory]\nheap = \"1.5 GB\"", 2, "'heap' must be a size in whole megabytes", ""),
        ("[memory]\nheap = 1000", 2, "found an integer", ""),
        ("[embed]\n\"site\" = \"x\"", 2, "'site' must be an absolute path", ""),
        ("[app]\nargs = [", 2, "is not valid TOML", ""),
        ("app = 3", 1, "'app' must be a table, found an integer", ""),
    ];
    for (text, line, message, advice) in table {
        let error = parse(text).unwrap_err();
        let problem = error.downcast_ref::<Problem>().unwrap();
        let found = problem.to_string();
        assert!(found.contains(message), "{text}: {found}");
        assert!(found.contains(&format!("(line {line})")), "{text}: {found}");
        assert!(problem.advice().unwrap_or_default().contains(advice), "{text}: {:?}", problem.advice());
        assert!(!problem.is_usage());
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Manifest::read(Path::new("/nowhere/mwasm.toml")).unwrap_err().to_string();
    assert!(error.contains("/nowhere/mwasm.toml") && error.contains("No such file"), "{error}");
}
