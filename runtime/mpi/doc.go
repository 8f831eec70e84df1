// Package mpi joins the processes that mpirun or srun started to one training: each is
// a rank, and [World.Sum] adds up what they computed.
//
// The sum has one order. Rank 0 begins, each rank adds its summands to what those
// before it came to, and the last rank's result goes back to all: the bits are those of
// one process that adds the same summands in the same order, whatever the number of
// ranks. Vectors go along this chain in chunks, so that ranks add and send at the same
// time, and each rank sends and receives a vector twice at most, whatever their number.
//
// It is built with the tag mpi and the compiler of Open MPI or MPICH
// (CC=mpicc go build -tags mpi). Without the tag there is one rank, and a program that
// was started as one of several says so.
package mpi
