package langevin

import (
	"math"
	"testing"
)

// The values are those of NumPy's full, exp and linspace in float64.
func TestPaperSchedule(t *testing.T) {
	temperature, err := Paper().Temperatures()
	if err != nil {
		t.Fatal(err)
	}
	if len(temperature) != 2700 {
		t.Fatalf("%d steps, want 2700", len(temperature))
	}
	for step, want := range map[int]float64{
		0: 100, 499: 100, 500: 100, 501: 99.77000638225534, 1500: 10.000000000000002, 2499: 1.0023052380779,
		2500: 1, 2501: 0.9949748743718593, 2600: 0.4974874371859297, 2698: 0.005025125628140725, 2699: 0,
	} {
		if got := temperature[step]; math.Abs(got-want) > 1e-13*want {
			t.Errorf("step %d: temperature %.17g, want %.17g", step, got, want)
		}
	}
}

func TestLinearSchedule(t *testing.T) {
	s := Paper()
	s.Cooling = Linear
	temperature, err := s.Temperatures()
	if err != nil {
		t.Fatal(err)
	}
	for step, want := range map[int]float64{0: 100, 499: 100, 500: 100, 501: 99.95047523761881, 2498: 1.0495247623811906,
		2499: 1, 2500: 1, 2699: 0} {
		if got := temperature[step]; math.Abs(got-want) > 1e-13*want {
			t.Errorf("step %d: temperature %.17g, want %.17g", step, got, want)
		}
	}
}

func TestProportions(t *testing.T) {
	for steps, want := range map[int][3]int{1: {0, 1, 0}, 2: {0, 2, 0}, 10: {2, 7, 1}, 27: {5, 20, 2}, 50: {9, 37, 4}, 270: {50, 200, 20},
		2700: {500, 2000, 200}} {
		s := Paper()
		s.Steps = steps
		hot, falling, last := s.stretches()
		if got := [3]int{hot, falling, last}; got != want {
			t.Errorf("%d steps: parts %v, want %v", steps, got, want)
		}
	}
	for _, kind := range []Cooling{Exponential, Linear} {
		for steps := 1; steps < 100; steps++ {
			s := Schedule{Cooling: kind, Steps: steps, Hot: 30, Cool: 2}
			temperature, err := s.Temperatures()
			if err != nil {
				t.Fatal(err)
			}
			if len(temperature) != steps {
				t.Fatalf("%v: %d temperatures", s, len(temperature))
			}
			for i, v := range temperature {
				if !(v >= 0 && v <= 30) || i > 0 && v > temperature[i-1] {
					t.Errorf("%v: step %d has temperature %g after %g", s, i, v, temperature[max(i-1, 0)])
				}
			}
			if _, _, last := s.stretches(); last > 0 && temperature[steps-1] != 0 {
				t.Errorf("%v ends at temperature %g", s, temperature[steps-1])
			}
		}
	}
}

func TestConstantSchedule(t *testing.T) {
	temperature, err := Schedule{Cooling: Constant, Steps: 3, Cool: 1.5}.Temperatures()
	if err != nil || len(temperature) != 3 || temperature[0] != 1.5 || temperature[2] != 1.5 {
		t.Errorf("temperatures %v, error %v", temperature, err)
	}
}

func TestScheduleErrors(t *testing.T) {
	for _, s := range []Schedule{
		{}, {Cooling: "paper", Steps: 5, Hot: 1, Cool: 1}, {Cooling: Exponential, Steps: 0, Hot: 1, Cool: 1},
		{Cooling: Exponential, Steps: 5, Cool: 1},
		{Cooling: Linear, Steps: 5, Hot: 1}, {Cooling: Linear, Steps: 5, Hot: math.Inf(1), Cool: 1},
		{Cooling: Constant, Steps: 5, Cool: math.NaN()},
	} {
		if _, err := s.Temperatures(); err == nil {
			t.Errorf("%+v has no error", s)
		}
	}
	if k, err := ParseCooling("paper"); err != nil || k != Exponential {
		t.Errorf("paper is %q, %v", k, err)
	}
	if _, err := ParseCooling("cold"); err == nil {
		t.Error("an unknown kind has no error")
	}
}
