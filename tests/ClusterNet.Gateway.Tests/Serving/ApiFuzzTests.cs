using System.Net;
using System.Text;
using ClusterNet.Cluster.Tests;
using ClusterNet.Gateway.Tests.Inference;
using CsCheck;

namespace ClusterNet.Gateway.Tests.Serving;

/// <summary>Whatever is sent to a gateway beside predictions, to a real one with a real model behind it: it is done or refused as the caller's fault, in the one form that errors have.</summary>
[Collection(OneByOne.Name)]
[Trait("Category", "Fuzz")]
public sealed class ApiFuzzTests(Gateways gateways) : IClassFixture<Gateways>
{
    private static readonly (string Method, string Path, string Body)[] _requests =
    [
        ("PUT", "/api/models/steered/traffic", """{"arms":[{"target":"1","weight":0.5},{"target":"staging","weight":1}],"shadows":["1"],"rollback":{"canary":"1","max_error_rate":0.5,"max_latency_milliseconds":10.5,"window_seconds":60,"least_requests":20}}"""),
        ("PUT", "/api/models/steered/labels/staging", """{"version":1}"""),
        ("DELETE", "/api/models/steered/labels/staging", ""),
        ("POST", "/api/models/steered/promote", """{"version":1}"""),
        ("POST", "/api/models/steered/load", ""),
        ("GET", "/api/models/steered/signature?version=1", ""),
        ("GET", "/api/models/steered/versions/1", ""),
        ("DELETE", "/api/models/nobody/versions/1", ""),
        ("POST", "/api/keys", """{"name":"k","scopes":["predict","operate"],"days":1.5}"""),
        ("DELETE", "/api/keys/abcdef", ""),
        ("POST", "/api/jobs", "nonsense: \u00e4"),
        ("POST", "/api/jobs/nobody-1/cancel", ""),
        ("POST", "/v2/repository/index", """{"ready":true}"""),
        ("POST", "/v2/repository/models/steered/load", """{"parameters":{"config":"{\"max_batch_size\":16,\"name\":\"steered\"}","file:1/model.onnx":"AAAA"}}"""),
        ("POST", "/v2/repository/models/steered/load", """{"parameters":{}}"""),
        ("POST", "/v2/repository/models/nobody/unload", """{"parameters":{"unload_dependents":true}}"""),
        ("POST", "/v2/systemsharedmemory/region/r/register", """{"key":"/clusternet-nobody","offset":0,"byte_size":64}"""),
        ("POST", "/v2/systemsharedmemory/region/r/unregister", ""),
        ("POST", "/v2/models/steered/infer", """{"id":"1","inputs":[{"name":"x1","shape":[1],"datatype":"FP64","data":[1]},{"name":"x2","shape":[1],"datatype":"FP64","data":[0]}]}"""),
    ];

    private static readonly Gen<string> _types = Gen.Frequency(
        (30, Gen.Const("")),
        (1, Fuzz.OneOf("text/plain", "application/json; charset=utf-16", "application/json; charset=x", "application/json; charset=utf-7", "application/json;;", "application/yaml", "application/octet-stream")));

    private static readonly Gen<(int Where, string What)> _place = Gen.Select(
        Gen.Frequency((3, Gen.Const(-1)), (1, Gen.Int[0, 60])),
        Fuzz.OneOf("%2F", "..", "%2e%2e", "%C3%A4", "%ff", "%ED%A0%80", "-1", "0", "99999999999", "%01", "%20", "%25", "*", "\"", "<x>", "%7B", "?x=%01&version=", new string('a', 300)));

    [Fact]
    public async Task Whatever_is_sent_is_done_or_refused()
    {
        var job = await gateways.Cluster.SubmitAsync(TestJobs.Xor() with { Name = "steered" });
        await foreach (var moment in gateways.Cluster.WatchAsync(job))
            Assert.Null(moment.Failure);
        await using var server = await gateways.StartAsync(gateways.NewStore(), settings => settings with { HasSharedMemory = true }, gateways.Cluster.Serving);
        using var http = new HttpClient { BaseAddress = server.Address };
        var bodies = _requests.Select(request => Fuzz.Changed(Encoding.UTF8.GetBytes(request.Body))).ToArray();
        await Gen.Int[0, _requests.Length - 1].SelectMany(which => Gen.Select(Gen.Const(which), bodies[which], _types, _place)).SampleAsync(
            async (which, body, type, place) =>
            {
                var (method, path, _) = _requests[which];
                if (place.Where >= 0)
                    path = path.Insert(1 + place.Where % path.Length, place.What);
                using var content = new ByteArrayContent(body);
                content.Headers.TryAddWithoutValidation("Content-Type", type.Length > 0 ? type : path.Contains("jobs", StringComparison.Ordinal) ? "application/yaml" : "application/json");
                using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(path, UriKind.Relative)) { Content = method is "GET" or "DELETE" ? null : content };
                using var response = await http.SendAsync(request);
                if (response.StatusCode < HttpStatusCode.BadRequest)
                    return;
                Assert.InRange((int)response.StatusCode, 400, 499);
                Assert.NotEqual("", await Gateways.ErrorAsync(response, response.StatusCode));
            },
            iter: Fuzz.Inputs / 20,
            threads: 2,
            print: sample => $"{_requests[sample.Item1].Method} {_requests[sample.Item1].Path} ({sample.Item4}), {sample.Item3}: {Encoding.UTF8.GetString(sample.Item2)}");
    }
}
