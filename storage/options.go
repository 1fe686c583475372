package storage

import "context"

// Condition is what must hold at the destination for a copy to be written.
type Condition struct {
	// Absent: nothing is there. Otherwise IfETag must be there's ETag.
	Absent bool
	IfETag string
}

// CopyOptions tune one copy.
type CopyOptions struct {
	If Condition
	// Rewrite writes the content even where the same version is already, which is
	// damaged: as a version of its own, on top of it.
	Rewrite bool
	// Progress, when set, is told the bytes done since the last call.
	Progress func(delta int64)
	// Limit, when set, is asked before n bytes are moved (a bandwidth limiter).
	Limit func(ctx context.Context, n int) error
	// Unlocked: the copy gets no retention period and no legal hold, because it is one that
	// goes again.
	Unlocked bool
	// Lost, when set, is told what the object has that its copy can't keep, as the subject of
	// "... are not kept".
	Lost func(what string)
	// Upload, when set, keeps note of a large object's upload under way, so that an
	// interrupted copy resumes.
	Upload UploadNote
	// Version, when set, is the version that the object is, as Version or Versions showed
	// it: the copy is ordered among the destination's versions as CompareVersions has it.
	Version *Version
	// Below writes Version as a noncurrent version ordered by time. The If condition is
	// ignored. The destination keeps times (KeepsTimes).
	Below bool
}

// UploadNote is where the caller keeps the one upload under way of an object at a
// destination. The text is this package's. Its methods are safe for concurrent use.
type UploadNote interface {
	// Load returns what was saved last; "" if there is nothing.
	Load(ctx context.Context) (string, error)
	// Save keeps a text in place of the one before. Losing the latest costs sending
	// some parts again, and nothing else.
	Save(ctx context.Context, text string) error
	// Clear forgets it: the upload is complete or aborted.
	Clear(ctx context.Context) error
}
