//! What the images of a data set are, as far as a network and a task must know.

/// The images of a data set, as a network sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageShape {
    /// Channels, height, width.
    pub shape: [usize; 3],
    pub classes: usize,
    pub kind: ImageKind,
}

/// How images are kept, which decides what may be done to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    InMemory,
    /// Picture files of any size.
    InFiles,
    /// Pairs of pictures of any size, of which one is so many times as high and wide as the other.
    Pairs {
        scale: usize,
    },
    /// Seen while a game is played; its classes are actions.
    Frames,
}
