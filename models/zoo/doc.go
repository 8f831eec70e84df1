// Package zoo holds the models that the project ships: small networks that it
// trained itself, as safetensors whose metadata say how, to be used by name
// wherever a run is.
package zoo
