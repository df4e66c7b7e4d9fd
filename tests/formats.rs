//! Files from elsewhere: what they say is understood, and what is wrong with them is an error. Never a panic, never an
//! allocation that the size of the file does not justify.

mod formats {
    mod build;
    mod config;
    mod config_gguf;
    mod diffusion;
    mod diffusion_fuzz;
    mod diffusion_ldm;
    mod diffusion_lora;
    mod families;
    mod fuzz;
    mod gguf;
    mod rope;
    mod safetensors;
    mod safetensors_judge;
}

/// An allocator that knows, per thread, how many bytes are held and how many were at most.
mod memory {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;

    struct Counting;

    #[global_allocator]
    static COUNTING: Counting = Counting;

    thread_local! {
        static HELD: Cell<isize> = const { Cell::new(0) };
        static MOST: Cell<isize> = const { Cell::new(0) };
    }

    fn add(bytes: isize) {
        // A thread that is ending has no counters any more, and nothing to measure either.
        let _ = HELD.try_with(|held| {
            held.set(held.get() + bytes);
            MOST.try_with(|most| most.set(most.get().max(held.get())))
        });
    }

    // SAFETY: every call is passed on unchanged; counting allocates nothing.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            add(layout.size() as isize);
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
            add(-(layout.size() as isize));
            unsafe { System.dealloc(ptr, layout) }
        }

        // `alloc_zeroed` and `realloc` keep their default bodies, which call the two above: while it is copied, memory
        // is held twice.
    }

    /// What `work` returns, and the most bytes held during it beyond those held before.
    pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
        let before = HELD.get();
        MOST.set(before);
        let result = work();
        (result, (MOST.get() - before) as usize)
    }

    #[test]
    fn counts_what_is_allocated() {
        let (_, none) = peak(|| 1 + 1);
        assert_eq!(none, 0);
        let (kept, some) = peak(|| {
            drop(std::hint::black_box(vec![0u8; 100_000]));
            vec![0u8; 50_000]
        });
        assert_eq!(some, 100_000);
        let (_, other) = peak(|| drop(kept));
        assert_eq!(other, 0);
    }
}

/// What every reading of a file of `len` bytes must stay below.
const fn allowed(len: usize) -> usize {
    64 * len + (64 << 10)
}
