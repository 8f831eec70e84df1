package onnximport_test

// handmade returns the models of all rows, as seeds.
func handmade() [][]byte {
	var list [][]byte
	for _, row := range rows() {
		p, _ := row.file()
		list = append(list, bytesOf(p))
	}
	return list
}
