module example.org/outside

go 1.26.0

require ebm v0.0.0

replace ebm => ../..
