//! Gives freed memory back to the system after a burst of use.

/// Gives back free memory. The allocator of glibc keeps it otherwise if a small allocation above it is still in
/// use. Takes milliseconds; other allocators do it by themselves.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: malloc_trim takes no pointer, keeps all that is allocated, and may be called from any thread
        // (malloc_trim(3): MT-Safe).
        #[expect(unsafe_code, reason = "glibc's own function, which has no safe wrapper")]
        unsafe {
            libc::malloc_trim(0);
        }
    }
}
