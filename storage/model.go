package storage

import "time"

// Object is one current object as a listing or a HEAD shows it.
type Object struct {
	Key          string
	Size         int64
	ETag         string // without quotes
	LastModified time.Time
	VersionID    string // "" or "null" where the bucket is not versioned
	// Stat fills these in; listings don't.
	Replica bool   // FaDO wrote this very version as a copy; see ours.go
	Source  Source // where a stamped copy came from
	Token   string // of a stamped copy: drawn for the write that made it
	// Lock is what object lock protects the version by, "" for nothing; see locks.go.
	Lock string
	// Attributes is a digest of the headers, user metadata and tags S3 keeps, equal
	// for equal ones on any two storages.
	Attributes string
}

// Source is what a copy on a storage that can't preserve ETag, version and time is
// stamped with (user metadata fado-source-*), so that equality can be told.
type Source struct {
	ETag      string
	VersionID string
	ModTime   time.Time
	Size      int64
	// Attributes of the source: what some storages make of a header differs from
	// what they were given.
	Attributes string
}

// Event tells that a key of a physical bucket may have changed. It is a hint.
type Event struct {
	Bucket    string // FaDO bucket name (the storage's bucket prefix taken off)
	Key       string
	Size      int64
	Removed   bool
	VersionID string
	// Gone: the storage removed the version of VersionID for good.
	Gone bool
	ETag string
	Time time.Time
}
