use cached_runtime::Handle;

static FIND: Handle = Handle::new();

fn main() {
    drop(FIND.invalidate(42));
}
