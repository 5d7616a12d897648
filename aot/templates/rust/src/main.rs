fn main() {
    println!("hello from {{name}}");
    for argument in std::env::args().skip(1) {
        println!("argument: {argument}");
    }
}
