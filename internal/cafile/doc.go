// Package cafile reads the files of certificate authorities that a configuration or a
// caller of the admin API names.
//
// The user who names such a file may lack the right to read it, and may mean harm.
// So what is read is a regular file of at most 1 MiB; a path that hangs (a network file
// system without its server) holds one goroutine per path, and its callers no longer than
// their context; and an error never tells what is there. Callers hold no lock meanwhile.
//
// Every room that trusts a ca_file reads it here; nothing else does.
package cafile
