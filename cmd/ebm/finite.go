package main

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
)

// finiteJSON is json.MarshalIndent that writes numbers which are not finite as
// null, for which it returns their places, such as "energy.r_hat".
func finiteJSON(v any) (data []byte, nulls []string, err error) {
	data, err = json.MarshalIndent(v, "", "  ")
	if errors.As(err, new(*json.UnsupportedValueError)) {
		var f finiteEncoder
		if data, err = f.encode("", reflect.ValueOf(v)); err == nil {
			var b bytes.Buffer
			err = json.Indent(&b, data, "", "  ")
			data, nulls = b.Bytes(), f.nulls
		}
	}
	return data, nulls, err
}

type finiteEncoder struct{ nulls []string }

// encode is json.Marshal of the value at a place.
func (f *finiteEncoder) encode(place string, v reflect.Value) (json.RawMessage, error) {
	if !v.IsValid() {
		return json.RawMessage("null"), nil
	}
	switch v.Interface().(type) {
	case json.Marshaler, encoding.TextMarshaler: // which see to it themselves
		return json.Marshal(v.Interface())
	}
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		if x := v.Float(); math.IsNaN(x) || math.IsInf(x, 0) {
			f.nulls = append(f.nulls, strings.TrimPrefix(place, "."))
			return json.RawMessage("null"), nil
		}
	case reflect.Pointer, reflect.Interface:
		return f.encode(place, v.Elem())
	case reflect.Map:
		return f.fields(place, v)
	case reflect.Struct:
		fields, err := f.structure(place, v)
		return append(append([]byte{'{'}, bytes.Join(fields, []byte{','})...), '}'), err
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
			break
		}
		var items [][]byte
		for i := range v.Len() {
			item, err := f.encode(fmt.Sprintf("%s[%d]", place, i), v.Index(i))
			if err != nil {
				return nil, err
			}
			items = append(items, item)
		}
		return append(append([]byte{'['}, bytes.Join(items, []byte{','})...), ']'), nil
	}
	return json.Marshal(v.Interface())
}

// fields encodes a map.
func (f *finiteEncoder) fields(place string, v reflect.Value) (json.RawMessage, error) {
	all := reflect.MakeMap(reflect.MapOf(v.Type().Key(), reflect.TypeFor[json.RawMessage]()))
	for _, key := range v.MapKeys() {
		item, err := f.encode(fmt.Sprintf("%s.%v", place, key), v.MapIndex(key))
		if err != nil {
			return nil, err
		}
		all.SetMapIndex(key, reflect.ValueOf(item))
	}
	return json.Marshal(all.Interface())
}

// structure encodes the fields of a struct, with those of embedded ones.
func (f *finiteEncoder) structure(place string, v reflect.Value) (list [][]byte, err error) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		embedded := field.Anonymous && name == "" && field.Type.Kind() == reflect.Struct
		var content []byte
		switch {
		case name == "-" || !field.IsExported() && !embedded || strings.Contains(options, "omitempty") && empty(v.Field(i)):
			continue
		case embedded:
			inner, err := f.structure(place, v.Field(i))
			if err != nil {
				return nil, err
			}
			list = append(list, inner...)
			continue
		case name == "":
			name = field.Name
		}
		if content, err = f.encode(place+"."+name, v.Field(i)); err != nil {
			return nil, err
		}
		list = append(list, fmt.Appendf(nil, "%q:%s", name, content))
	}
	return list, nil
}

// empty is what omitempty leaves out.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice, reflect.String, reflect.Array:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}
