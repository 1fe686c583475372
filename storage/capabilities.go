package storage

import "github.com/fado-project/fado/storage/s3"

// Capabilities is what a probe found a storage to offer. What can't be asked without
// writing comes from the table of providers.
type Capabilities struct {
	// Provider is the row of the table it goes by; "S3" is any that is not known.
	Provider        string
	Versioning      bool
	Notifications   bool
	Tags            bool
	ConditionalPut  bool
	PreserveVersion bool
	// ConditionalDelete: DeleteObject honours If-Match.
	ConditionalDelete bool
	// Checksums: it checks and keeps the checksums of S3's x-amz-checksum headers.
	Checksums bool
	// SortedList: listings come in the order of keys, without which nothing can be
	// compared.
	SortedList bool
	Multipart  MultipartLimits
}

// MultipartLimits are those of a storage's multipart uploads; sizes in bytes.
type MultipartLimits struct {
	MaxParts int
	MinPart  int64 // of all parts but the last
	MaxPart  int64
}

// maxSingle is the largest object S3 takes in one request.
const maxSingle = 5 << 30

// s3Multipart are the limits of S3 itself (S3 User Guide, "Amazon S3 multipart upload
// limits"), which all providers in the table share.
var s3Multipart = MultipartLimits{MaxParts: s3.MaxParts, MinPart: s3.MinPart, MaxPart: maxSingle}

// Losses names what objects of one storage have and their copies at another can't keep, as
// the subject of "... are not kept". Versioned reports whether the bucket they come from keeps
// versions. The content is always kept, and so are the headers and metadata that S3 keeps.
func Losses(from, to Capabilities, versioned bool) []string {
	losses := []string{}
	add := func(lost bool, what string) {
		if lost {
			losses = append(losses, what)
		}
	}
	preserved := from.PreserveVersion && to.PreserveVersion
	add(from.Tags && !to.Tags, "tags")
	add(versioned && !preserved, "version IDs")
	add(versioned && !(preserved && to.Versioning), "older versions")
	add(!preserved, "modification times")
	return losses
}
