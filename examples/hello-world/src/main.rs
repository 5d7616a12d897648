//! The smallest useful program: what an image of it weighs is what a host weighs.

fn main() {
    println!("hello, world");
}
