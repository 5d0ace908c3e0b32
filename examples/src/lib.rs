//! Small examples, one file each: see the files beside this manifest.
