// Package uploads lists the multipart uploads of storages as S3 does, page by page, whatever
// the storages make of the request: some know no paging, some list one key alone, some refuse
// the markers that they gave. It knows nothing of who asks and of what a bucket is.
//
// Invariants:
//
//   - Uploads are sorted by key, those of one key by the time they began (S3 API reference,
//     ListMultipartUploads, "Sorting of multipart uploads in response").
//   - An upload that is there from the first page's request to the last one's is listed: once,
//     while the upload that a page's marker names is there; where that has ended meanwhile,
//     those of the marker's key are listed again.
//   - Memory is bounded by the page that is asked for, and by a page of a storage.
//
// Package s3gateway is the only caller.
package uploads
