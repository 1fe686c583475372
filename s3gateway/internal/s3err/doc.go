// Package s3err has the errors that S3 clients know, in the words of S3. A client is told the
// status, the code, the message and the details of an error; what it comes from is for the log.
//
// SDKs decide by status and code whether to send a request again. So what passes by itself is a
// [SlowDown], with the time to wait, whatever was in the way.
//
// Only packages below s3gateway use it.
package s3err
