use super::*;
use alloc::vec;
use mwasm_ports::fake::Machine;

fn system() -> (Arc<Machine>, Arc<dyn Dir>) {
    let machine = Machine::new(1);
    let root = new(machine.clone(), machine.clone());
    (machine, root)
}

const CREATE: OpenOptions = OpenOptions {
    read: true,
    write: true,
    create: true,
    exclusive: false,
    truncate: false,
    directory: false,
    follow: false,
};

fn file(dir: &dyn Dir, path: &str) -> Arc<dyn File> {
    dir.open_at(path, CREATE).unwrap().file().unwrap().clone()
}

fn content(dir: &dyn Dir, path: &str) -> Vec<u8> {
    let file = file(dir, path);
    let mut bytes = vec![0; usize::try_from(file.stat().unwrap().size).unwrap()];
    assert_eq!(file.read_at(&mut bytes, 0), Ok(bytes.len()));
    bytes
}

#[test]
fn a_file_is_what_was_written_through_any_chunk_border() {
    let (_, root) = system();
    let text: Vec<u8> = (0..=250).cycle().take(3 * CHUNK_BYTES + 5).collect();
    let open = file(&*root, "f");
    for (index, piece) in text.chunks(1000).enumerate() {
        assert_eq!(open.write_at(piece, index as u64 * 1000), Ok(piece.len()));
    }
    assert_eq!(content(&*root, "f"), text);
}

#[test]
fn holes_read_as_zeros_and_cost_nothing() {
    let (machine, root) = system();
    let open = file(&*root, "f");
    open.write_at(b"x", 100 * CHUNK_BYTES as u64).unwrap();
    assert_eq!(machine.state().reserved_bytes, CHUNK_BYTES as u64);
    assert!(content(&*root, "f")[..100 * CHUNK_BYTES].iter().all(|byte| *byte == 0));
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    let (_, root) = system();
    let open = file(&*root, "f");
    open.write_at(b"secret", 0).unwrap();
    open.set_size(2).unwrap();
    open.set_size(6).unwrap();
    assert_eq!(content(&*root, "f"), b"se\0\0\0\0");
}

#[test]
fn a_full_machine_is_an_error_and_space_comes_back() {
    let (machine, root) = system();
    machine.state().memory_bytes = Some(2 * CHUNK_BYTES as u64);
    let open = file(&*root, "f");
    let big = vec![1; 3 * CHUNK_BYTES];
    assert_eq!(open.write_at(&big, 0), Ok(2 * CHUNK_BYTES), "what fits is taken");
    assert_eq!(open.write_at(b"x", 2 * CHUNK_BYTES as u64), Err(ErrorCode::InsufficientSpace));
    drop(open);
    root.unlink_at("f").unwrap();
    assert_eq!(machine.state().reserved_bytes, 0);
}

#[test]
fn an_unlinked_file_lives_until_it_is_closed() {
    let (machine, root) = system();
    let open = file(&*root, "f");
    open.write_at(b"still here", 0).unwrap();
    root.unlink_at("f").unwrap();
    let mut bytes = [0; 5];
    assert_eq!((open.read_at(&mut bytes, 0), &bytes), (Ok(5), b"still"));
    assert!(root.open_at("f", OpenOptions::default()).is_err());
    drop(open);
    assert_eq!(machine.state().reserved_bytes, 0);
}

#[test]
fn directories_are_made_listed_and_removed() {
    let (_, root) = system();
    root.create_dir_at("d").unwrap();
    file(&*root, "d/x");
    assert_eq!(root.create_dir_at("d"), Err(ErrorCode::Exist));
    assert_eq!(root.remove_dir_at("d"), Err(ErrorCode::NotEmpty));
    assert_eq!(root.unlink_at("d"), Err(ErrorCode::IsDirectory));
    assert_eq!(root.remove_dir_at("d/x"), Err(ErrorCode::NotDirectory));
    root.unlink_at("d/x").unwrap();
    root.remove_dir_at("d").unwrap();
    assert_eq!(root.entries().unwrap(), []);
}

#[test]
fn rename_replaces_and_refuses_to_put_a_directory_into_itself() {
    let (_, root) = system();
    file(&*root, "a").write_at(b"a", 0).unwrap();
    file(&*root, "b").write_at(b"b", 0).unwrap();
    root.rename_at("a", &*root, "b").unwrap();
    assert_eq!(content(&*root, "b"), b"a");
    root.create_dir_at("d").unwrap();
    root.create_dir_at("d/e").unwrap();
    assert_eq!(root.rename_at("d", &*root, "d/e/f"), Err(ErrorCode::Invalid));
    assert_eq!(root.rename_at("b", &*root, "d"), Err(ErrorCode::IsDirectory));
    assert_eq!(root.rename_at("d", &*root, "b"), Err(ErrorCode::NotDirectory));
    let (_, other) = system();
    assert_eq!(root.rename_at("b", &*other, "b"), Err(ErrorCode::CrossDevice));
}

#[test]
fn opening_keeps_its_options() {
    let (_, root) = system();
    let open = |path, options| root.open_at(path, options).map(drop);
    assert_eq!(open("f", OpenOptions::default()), Err(ErrorCode::NoEntry));
    assert_eq!(open("f/", CREATE), Err(ErrorCode::IsDirectory));
    assert_eq!(open("f", CREATE), Ok(()));
    assert_eq!(open("f", OpenOptions { exclusive: true, ..CREATE }), Err(ErrorCode::Exist));
    assert_eq!(open("f", OpenOptions { directory: true, ..Default::default() }), Err(ErrorCode::NotDirectory));
    assert_eq!(open(".", CREATE), Err(ErrorCode::IsDirectory));
    assert_eq!(open(".", OpenOptions { directory: true, ..Default::default() }), Ok(()));
    assert_eq!(open("f/g", CREATE), Err(ErrorCode::NotDirectory));
}
