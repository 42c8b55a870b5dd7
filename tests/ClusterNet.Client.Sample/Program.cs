using System.Globalization;
using ClusterNet.Client;
using Microsoft.Extensions.DependencyInjection;

// ask grpc http://localhost:8001 breast-cancer rows.csv     or     ask message 127.0.0.1:4053 breast-cancer rows.csv
var (way, address, model, file) = (args[0], args[1], args[2], args[3]);
var services = new ServiceCollection();
services.AddClusterNetClient(options =>
{
    options.Timeout = TimeSpan.FromSeconds(20);
    if (way == "grpc")
        options.UseGrpc(new Uri(address), apiKey: Environment.GetEnvironmentVariable("CLUSTERNET_API_KEY"));
    else
        options.UseCluster([address]);
});
await using var provider = services.BuildServiceProvider();
var client = provider.GetRequiredService<IClusterNetClient>();

var lines = File.ReadLines(file).Select(line => line.Split(',')).ToArray();
try
{
    var answer = await client.PredictAsync(model, Samples.Table(lines[0], lines[1..]));
    for (var i = 0; i < answer.Count; i++)
        Console.WriteLine($"{answer.ClassOf(i)} {string.Join(' ', answer.ProbabilitiesOf(i).Select(p => p.ToString("R", CultureInfo.InvariantCulture)))}");
    return 0;
}
catch (PredictionFailedException failure)
{
    Console.Error.WriteLine($"{failure.Kind}: {failure.Message}");
    return 1;
}
