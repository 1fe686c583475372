// Package latency learns how long storages take to begin an answer: which is the quickest, when one
// has taken so long that another one is asked as well, and that this stays rare. It knows clusters by
// their names alone.
//
// Package s3gateway is the only caller.
package latency
