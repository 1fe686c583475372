// Package storage is one S3 storage: its client, what it can do, and how an object
// is copied from one storage to another.
//
// It decides nothing: what may be written where is the catalogue's business and
// what is written when is replication's. It promises that
//
//   - memory is bounded whatever an object's size and a listing's length;
//   - a copy is conditional: it replaces only what the caller saw, or nothing (the
//     limits of that are below);
//   - a copy is verified: it returns success only if the destination acknowledged
//     content whose size and checksum are the source's;
//   - errors tell what the caller needs to know (see [ErrNotFound] and the others),
//     and never carry a secret;
//   - every call ends with its context, and without one too: nothing waits for a
//     storage that is silent.
//
// What differs between S3 implementations is data ([Capabilities], the table in package
// kind), not branches in many places. Requests and what bounds their answers are
// package s3's, below, and checksums of content package sums'; this package knows what an answer means to FaDO.
//
// A storage has two halves, of types that have nothing in common but what is known of the
// storage (conn). Code that only looks is given a [Reader], which [ReadOnly]
// makes so that nothing leads from it to a [Writer]; the room that decides what may be
// written where hands out Writers. A Reader is four jobs, a type and an interface each: the
// server, its buckets, their current objects, their versions.
//
// From the bottom up: what is known of an object and a version (model, order, etag, stamp,
// compare, mark) and of a storage (capabilities, errors); client, what both halves
// know, and one file per thing to ask of it (bucket, object, list, versioned, history, reread, listen, probe) or to
// change (remove); storage, the two halves; then one copy: transfer, which knows the job, its source and its
// destination (place: where among versions it comes), and how the object is written: whole, layout,
// upload, resume, streams, ordered, parts, copy. Arrows between files point down this list.
//
// # How a copy is verified
//
// An object that was uploaded in one request has its MD5 as ETag. The copy is sent
// with that as Content-MD5, so the destination itself checks the whole way from the
// source's disk, and nothing in between hashes a large object. An object that was
// uploaded in parts is copied in the same parts; the destination's MD5s of the parts
// must add up to the source's ETag before the upload is completed. Both ways the ETag
// comes out the same on any storage. Where the source's ETag tells nothing (encrypted
// with a KMS, parts unknown) a CRC-32C follows each body, which the destination checks,
// and the bytes read are those the source announced. Bodies are not signed: that would
// cost as much as all the rest, and proves no more.
//
// A storage may hold objects that have no ETag, files that came into its directory by
// other means. Their size and time, in seconds, stand for it: a change that leaves both
// goes unnoticed, and nothing proves their content but reading it.
//
// # Large objects
//
// Parts are copied several at a time. An object that was uploaded in parts keeps them, and
// its parts stream through, unless their numbers have gaps. One that was uploaded in one piece goes in one stream up to
// 128 MiB, which costs the least: the destination checks it by its MD5. From there on it
// goes in parts of 8 MiB, read into memory that all copies share (24 MiB for copies to one
// storage, 96 MiB in all): each part carries a checksum that the destination checks, and
// passes, in the order of the parts, through a digest of the whole that is compared with
// the source's before the upload is completed. That is the full-object checksum the source
// keeps (CRC-32C, CRC-64/NVME or CRC-32, which cost next to nothing), else its MD5, which
// costs a core about 1.6 s per GiB and is then what bounds the rate. The ETag stays where it can be preserved,
// and is another one elsewhere: there the stamp tells.
//
// Between MinIOs, an object of more than 256 KiB that replaces another one goes in parts, too,
// because a conditional PUT would hold up that one's readers.
//
// Every upload is noted outside ([UploadNote]) before its first part: which upload, of which
// version, in what parts, begun with which metadata, and the digest's state after the
// parts done. A copy that was cut, or whose process died, asks the destination which parts
// it has and resumes, if all of that is still so; else the parts are aborted, as they are
// when they can't become a verified copy. What is sent again is what was in flight and,
// where the content is digested in order, the parts since the last note (up to 4, and
// those that came before their turn). An upload whose process died in the instant between
// its beginning and its note is left to the storage's own expiry of incomplete uploads.
//
// # What MinIO does with a replica's writes
//
// Found by experiment with MinIO 2025-09-07, and held by this package's tests. "A
// replica's write" has the header X-Minio-Source-Replication-Request, as every write
// and deletion here has:
//
//   - It raises no notification, PUT, multipart, DELETE and DELETE of a version alike.
//     So FaDO's own writes never come back as events.
//   - With X-Amz-Replication-Status: REPLICA a HEAD shows that status until a
//     user writes the key again, on versioned and unversioned buckets, with and without
//     preserved version ID. MinIO's own bucket replication sets the same status, and a
//     server-side copy inherits it: FaDO's mark is another one (ours.go).
//   - X-Minio-Source-Etag and -Mtime are kept, for multipart uploads too; ?versionId=
//     is kept on versioned buckets and an error on unversioned ones. Metadata and tags
//     are stored as in any write.
//   - If-None-Match: * and If-Match are honoured under the object's lock by PutObject
//     and CompleteMultipartUpload, a replica's or not, with one exception and one hole.
//     The exception: a replica's write with If-Match passes where nothing is there
//     (any other is 404). It only brings back what a user removed from a copy.
//     The hole: a write that names a version ID is checked against that version, not
//     against the current one, so the condition is void.
//   - A version ID and ETag that are there already are answered by 412, whatever the
//     conditions. [Copy] takes that for success, and brings headers and tags up to date.
//   - Versions are ordered by modification time, not by arrival. A version that is
//     written with an older time than the current one is noncurrent from the start; a
//     delete marker covers only what is older.
//   - So a history arrives in any order, and looks the same in the end: content and delete markers
//     that are written with their ID and an older time come below what is there and change
//     nothing that is shown. Of two with the same time content comes first.
//   - The null version can be written below others where there is none; a second one is 412,
//     whatever its time.
//   - DeleteObject of a version ID with X-Minio-Source-Deletemarker makes a marker if that ID is not
//     there, and removes the version if it is, be it the same marker or content. It answers 204
//     either way, and where versioning is suspended or off, when it does nothing. So making a
//     marker has to be preceded by a look ([Writer.PutMarker]).
//   - A PUT with a version ID is InvalidArgument where versioning is suspended or off.
//   - A user's removal of a version, or of a delete marker, by its ID raises the event of a delete
//     with that ID; nothing tells it from the delete that makes a marker.
//   - DeleteObject knows no conditions.
//   - A listing by folders (with a delimiter) shows a folder "a/b/" for a key "a/b" at times, in one to three
//     of 1,000 listings that were made while that key was written where nothing was, and removed for
//     good, without a pause, whatever its size. It looks for the object's file, and where there is none
//     whether its directory is empty; the file may come in between (its cmd/metacache-walk.go). There
//     is nothing below such a folder, and listings without a delimiter, by which FaDO compares, never have one.
//   - Keys that end in "/" have one version, "null", on versioned buckets as well, as users write them.
//     A replica's write with a version ID adds that one; FaDO makes none.
//   - HEAD and GET tell whole seconds, listings milliseconds, and events, by their
//     sequencer, nanoseconds of the modification time.
//
// # What conditions are worth therefore
//
//	destination                          Absent, IfETag                                    Delete with an ETag
//	MinIO, unversioned                   atomic (IfETag passes where nothing is there)     HEAD just before; what is written in between is lost
//	MinIO, versioned, from MinIO         HEAD just before; a version written in between    atomic in effect: the marker's time puts it
//	                                     stays, and stays current if it is newer           right above the version that was seen
//	MinIO, versioned, from elsewhere     atomic (as unversioned)                           the same
//	versitygw                            atomic                                            atomic
//	any other                            atomic if [Capabilities].ConditionalPut, else     HEAD just before
//	                                     HEAD just before
//
// On a versioned MinIO bucket nothing is ever lost by losing the race: both versions
// are there. If what stands there is not older than the source's version, by the two
// storages' clocks, a preserved time would put the copy below it; [Copy] then writes a
// stamped new version instead, so that what it returns is what is read there.
//
// versitygw keeps objects as files: it stores "a//b" as "a/b", takes no content for keys that end in "/", and
// gives those its own content type. Such keys are refused with [ErrRefused] before a byte is sent. What a storage
// shows otherwise than it was given does not make a copy different: a stamp holds the digest of the source's
// headers, and [Compare] goes by that. Its delete marker is the file with a mark: it keeps the ETag of what it
// covers, If-None-Match: * is refused for it, and If-Match with that ETag passes. [Copy] writes on that condition
// where nothing but a delete marker is there. Where a connection ends in the middle of a body it stores what came
// so far (1.8.0), as an object or a part, after a better one if it is slow. A checksum in the request keeps it
// from that, and bodies without one go in signed chunks.
package storage
