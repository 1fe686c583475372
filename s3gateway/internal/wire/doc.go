// Package wire is what S3's requests and answers consist of beside bodies of objects: which headers
// pass between clients and storages, documents and their bounds, and what the texts in them mean:
// tokens of pages, IDs of uploads, ranges, sources of copies.
//
// It asks nobody: what it refuses is wrong by itself, and says so by an error of S3 (package s3err).
// Documents that it parses are bounded by who reads them, by the bounds here.
//
// Only packages below s3gateway use it.
package wire
