// Package admintest is what the tests of the admin API and of its rooms share: stores of each
// kind, a document that declares a small catalogue, and a client that reads answers and streams.
package admintest
