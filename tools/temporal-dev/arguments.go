package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"go.temporal.io/api/enums/v1"
)

const usage = "temporal-dev takes `--version`, or `server start-dev` with --ip, --port, --ui-port, --headless, " +
	"--db-filename, --namespace, --search-attribute NAME=TYPE, --dynamic-config-value KEY=JSON, " +
	"--sqlite-pragma KEY=VALUE, --log-level, --log-format"

type options struct {
	ip               string
	port             int
	uiPort           int
	headless         bool
	dbFilename       string
	namespaces       []string
	searchAttributes map[string]enums.IndexedValueType
	dynamicConfig    map[string]any
	pragmas          map[string]string
	logLevel         string
	logFormat        string
}

func (o options) ports() []int {
	if o.headless {
		return []int{o.port}
	}
	return []int{o.port, o.uiPort}
}

// parseArguments accepts what Anneal and the Temporal SDKs pass, and refuses everything else: an option that is
// dropped in silence would make this server behave differently from the CLI without a word.
func parseArguments(arguments []string) (options, error) {
	parsed := options{
		ip: "127.0.0.1", port: 7233, namespaces: []string{"default"}, logLevel: "warn", logFormat: "console",
		searchAttributes: map[string]enums.IndexedValueType{}, dynamicConfig: map[string]any{}, pragmas: map[string]string{},
	}
	if len(arguments) < 2 || arguments[0] != "server" || arguments[1] != "start-dev" {
		return parsed, errors.New(usage)
	}
	for rest := arguments[2:]; len(rest) > 0; {
		name, value, joined := strings.Cut(rest[0], "=")
		rest = rest[1:]
		if name == "--headless" {
			headless, err := strconv.ParseBool(value)
			if joined && err != nil {
				return parsed, errors.New("--headless takes true or false")
			}
			parsed.headless = !joined || headless
			continue
		}
		setter, known := setters[name]
		if !known {
			return parsed, fmt.Errorf("%s is not an argument it knows; %s", name, usage)
		}
		if !joined {
			if len(rest) == 0 {
				return parsed, fmt.Errorf("%s needs a value", name)
			}
			value, rest = rest[0], rest[1:]
		}
		if err := setter(&parsed, value); err != nil {
			return parsed, fmt.Errorf("%s %q: %w", name, value, err)
		}
	}
	if parsed.uiPort == 0 {
		parsed.uiPort = min(parsed.port+1000, 65535)
	}
	return parsed, nil
}

var setters = map[string]func(*options, string) error{
	"--ip": func(o *options, value string) error {
		o.ip = value
		if net.ParseIP(value) == nil {
			return errors.New("not an IP address")
		}
		return nil
	},
	"--port":        func(o *options, value string) (err error) { o.port, err = portOf(value); return },
	"--ui-port":     func(o *options, value string) (err error) { o.uiPort, err = portOf(value); return },
	"--db-filename": func(o *options, value string) error { o.dbFilename = value; return nil },
	"--namespace": func(o *options, value string) error {
		if !slices.Contains(o.namespaces, value) {
			o.namespaces = append(o.namespaces, value)
		}
		return nil
	},
	"--log-level": func(o *options, value string) error {
		o.logLevel = value
		return oneOf(value, "debug", "info", "warn", "error", "never")
	},
	"--log-format": func(o *options, value string) error {
		if value == "text" || value == "pretty" {
			value = "console"
		}
		o.logFormat = value
		return oneOf(value, "console", "json")
	},
	"--sqlite-pragma": func(o *options, pair string) error {
		key, value, err := pairOf(pair)
		o.pragmas[key] = value
		return err
	},
	"--search-attribute": func(o *options, pair string) error {
		key, value, err := pairOf(pair)
		if err != nil {
			return err
		}
		kind, err := enums.IndexedValueTypeFromString(value)
		o.searchAttributes[key] = kind
		return err
	},
	"--dynamic-config-value": func(o *options, pair string) error {
		key, value, err := pairOf(pair)
		if err != nil {
			return err
		}
		o.dynamicConfig[key], err = jsonValue(value)
		return err
	},
}

func portOf(value string) (int, error) {
	port, err := strconv.Atoi(value)
	if err != nil || port < 1 || port > 65535 {
		return 0, errors.New("a port is a number from 1 to 65535")
	}
	return port, nil
}

func pairOf(pair string) (string, string, error) {
	key, value, found := strings.Cut(pair, "=")
	if !found || key == "" {
		return "", "", errors.New("write it as KEY=VALUE")
	}
	return key, value, nil
}

func oneOf(value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("choose one of %s", strings.Join(allowed, ", "))
}

// jsonValue keeps whole numbers whole: the server takes no float where it wants a count.
func jsonValue(text string) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil || decoder.More() {
		return nil, errors.New("the value is JSON; strings and durations need quotes")
	}
	number, isNumber := value.(json.Number)
	if !isNumber {
		return value, nil
	}
	if whole, err := number.Int64(); err == nil {
		return int(whole), nil
	}
	return number.Float64()
}
