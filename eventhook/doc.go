// Package eventhook is the HTTP handler that receives change events from storages: the
// directive fado_events.
//
// It understands the S3 event format as AWS and MinIO send it, EventBridge's, and
// CloudEvents (structured, batched and binary) that carry either. An event is a hint:
// it says which key of which physical bucket to look at and is never believed beyond
// that. The handler answers 202 once replication has stored the hints durably; a
// sender that gets another answer should send again.
//
// parse.go knows no HTTP server and no Caddy; module.go is the adapter.
package eventhook
