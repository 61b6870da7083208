// Command temporal-dev is a Temporal dev server for machines where no Temporal CLI can be had: the server and Web UI
// releases that the pinned CLI contains, in one process, behind the arguments of `temporal server start-dev`.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/google/uuid"
	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	uiversion "github.com/temporalio/ui-server/v2/server/version"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/headers"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
)

const (
	storeName   = "sqlite"
	clusterName = "active"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Printf("temporal-dev of Anneal (Server %s, UI %s)\n", headers.ServerVersion, uiversion.UIVersion)
		return
	}
	options, err := parseArguments(os.Args[1:])
	if err == nil {
		err = run(options)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "temporal-dev:", err)
		os.Exit(1)
	}
}

func run(options options) error {
	var logger log.Logger = log.NewNoopLogger()
	if options.logLevel != "never" {
		logger = log.NewZapLogger(log.BuildZapLogger(log.Config{Level: options.logLevel, Format: options.logFormat}))
	}
	for _, port := range options.ports() {
		if err := claimable(options.ip, port); err != nil {
			return err
		}
	}
	serverConfig, err := serverConfig(options)
	if err != nil {
		return err
	}
	authorizer, err := authorization.GetAuthorizerFromConfig(&serverConfig.Global.Authorization)
	if err != nil {
		return err
	}
	claimMapper, err := authorization.GetClaimMapperFromConfig(&serverConfig.Global.Authorization, logger)
	if err != nil {
		return err
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(serverConfig),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(staticHosts(serverConfig)),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorizer),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claimMapper }),
		temporal.WithDynamicConfigClient(dynamicConfig(options)),
	)
	if err != nil {
		return fmt.Errorf("the server cannot be built: %w", err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	if err := server.Start(); err != nil {
		return fmt.Errorf("the server does not start: %w", err)
	}
	ui := startUI(options)
	fmt.Printf("Temporal Server %s: %s\n", headers.ServerVersion, address(options.ip, options.port))
	if ui != nil {
		fmt.Printf("Web UI %s: http://%s\n", uiversion.UIVersion, address(options.ip, options.uiPort))
	}
	<-stop
	if ui != nil {
		ui.Stop()
	}
	return server.Stop()
}

func startUI(options options) *uiserver.Server {
	if options.headless {
		return nil
	}
	ui := uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host:                escaped(options.ip),
		Port:                options.uiPort,
		TemporalGRPCAddress: address(options.ip, options.port),
		EnableUI:            true,
		DisableNewsFetch:    true,
		HideLogs:            true,
		DefaultNamespace:    options.namespaces[len(options.namespaces)-1],
		// The page is served without TLS, so a secure cookie would never come back.
		CORS: uiconfig.CORS{CookieInsecure: true},
	}))
	go func() {
		if err := ui.Start(); err != nil {
			fmt.Fprintln(os.Stderr, "temporal-dev: the Web UI stopped:", err)
		}
	}()
	return ui
}

func serverConfig(options options) (*config.Config, error) {
	store, err := store(options)
	if err != nil {
		return nil, err
	}
	frontend := address(options.ip, options.port)
	services := map[string]config.Service{
		string(primitives.FrontendService): {RPC: config.RPC{GRPCPort: options.port, BindOnIP: options.ip}},
	}
	for _, name := range []primitives.ServiceName{primitives.HistoryService, primitives.MatchingService, primitives.WorkerService} {
		port, err := freePort(options.ip)
		if err != nil {
			return nil, err
		}
		services[string(name)] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: options.ip}}
	}
	serverConfig := &config.Config{
		Persistence: config.Persistence{
			DefaultStore:     storeName,
			VisibilityStore:  storeName,
			NumHistoryShards: 1,
			DataStores:       map[string]config.DataStore{storeName: {SQL: store}},
		},
		// The first start writes this to the database, and later starts take it from there.
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{clusterName: {
				Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend, ClusterID: uuid.NewString(),
			}},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            services,
		PublicClient:        config.PublicClient{HostPort: frontend},
	}
	serverConfig.Global.Membership = config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: options.ip}
	serverConfig.Archival.History.State = "disabled"
	serverConfig.Archival.Visibility.State = "disabled"
	serverConfig.NamespaceDefaults.Archival.History.State = "disabled"
	serverConfig.NamespaceDefaults.Archival.Visibility.State = "disabled"
	return serverConfig, nil
}

// store opens or creates the database. A new file gets its schema under a temporary name first: a crash in the middle
// would otherwise leave a file that looks complete and never works.
func store(options options) (*config.SQL, error) {
	store := &config.SQL{PluginName: sqliteplugin.PluginName, ConnectAttributes: map[string]string{}}
	if options.dbFilename == "" {
		store.DatabaseName = "temporal-dev-" + uuid.NewString()
		store.ConnectAttributes["mode"] = "memory"
		store.ConnectAttributes["cache"] = "shared"
	} else {
		store.DatabaseName = options.dbFilename
		store.ConnectAttributes["mode"] = "rwc"
		if err := createDatabaseFile(options.dbFilename); err != nil {
			return nil, err
		}
	}
	for key, value := range options.pragmas {
		store.ConnectAttributes[key] = value
	}
	for _, name := range options.namespaces {
		namespace, err := sqlite.NewNamespaceConfig(clusterName, name, false, options.searchAttributes)
		if err != nil {
			return nil, err
		}
		if err := sqlite.CreateNamespaces(store, namespace); err != nil {
			return nil, fmt.Errorf("the namespace %s cannot be created in %q: %w", name, options.dbFilename, err)
		}
	}
	return store, nil
}

func createDatabaseFile(name string) error {
	if _, err := os.Stat(name); !os.IsNotExist(err) {
		return err
	}
	if _, err := os.Stat(filepath.Dir(name)); err != nil {
		return fmt.Errorf("the folder of --db-filename cannot be used: %w", err)
	}
	fresh := fmt.Sprintf("%s.new-%d", name, os.Getpid())
	defer os.Remove(fresh)
	if err := sqlite.SetupSchema(&config.SQL{
		PluginName: sqliteplugin.PluginName, DatabaseName: fresh, ConnectAttributes: map[string]string{"mode": "rwc"},
	}); err != nil {
		return fmt.Errorf("the schema cannot be written to %s: %w", fresh, err)
	}
	return os.Rename(fresh, name)
}

func dynamicConfig(options options) dynamicconfig.StaticClient {
	client := dynamicconfig.StaticClient{
		// One process serves everything here, so the limits of a shared cluster would only slow lists and caches down.
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key():                 8096,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 100,
	}
	for key, value := range options.dynamicConfig {
		client[dynamicconfig.MakeKey(key)] = value
	}
	return client
}

func staticHosts(serverConfig *config.Config) map[primitives.ServiceName]static.Hosts {
	hosts := map[primitives.ServiceName]static.Hosts{}
	for name, service := range serverConfig.Services {
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(address(service.RPC.BindOnIP, service.RPC.GRPCPort))
	}
	return hosts
}

func claimable(ip string, port int) error {
	listener, err := net.Listen("tcp", address(ip, port))
	if err != nil {
		return fmt.Errorf("port %d on %s is in use or not allowed; choose another with --port and --ui-port", port, ip)
	}
	return listener.Close()
}

func freePort(ip string) (int, error) {
	listener, err := net.Listen("tcp", address(ip, 0))
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func address(ip string, port int) string { return net.JoinHostPort(ip, strconv.Itoa(port)) }

func escaped(ip string) string {
	if net.ParseIP(ip).To4() == nil {
		return "[" + ip + "]"
	}
	return ip
}
