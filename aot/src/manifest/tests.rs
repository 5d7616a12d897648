use super::*;

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
net = { listen = [] }
"#;

fn parse(text: &str) -> Result<Manifest> {
    Manifest::parse("mwasm.toml", text, Path::new("/project"))
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
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
        listen: Some(vec!["tcp:80".into()]),
        connect: Some(vec!["tcp:imap.example.org:993".into()]),
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
        ("[net]\naddress = \"dhcp\"", 2, "'net.address' is not served", "remove it"),
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
