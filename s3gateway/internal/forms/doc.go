// Package forms is what a browser's form for S3 (PostObject) says beside its policy, which package
// sigv4 verifies: the headers of the object and how it is to be answered; and the memory in which
// its file is held, whose length nobody knows before its end.
//
// The memory of all forms of a process is bounded. One that waits for it while others hold it all
// is told to come again, but never all of them: one goes on.
//
// Package s3gateway is the only caller.
package forms
