using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text;
using ClusterNet.Cluster;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Gateway.Access;
using ClusterNet.Gateway.Audit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Hosting;

namespace ClusterNet.Gateway.Api;

/// <summary>Reads a job file.</summary>
/// <param name="text">YAML</param>
/// <param name="source">what it is called in faults</param>
/// <exception cref="InputException">it is none; all faults, each with its line</exception>
public delegate JobSpec JobFileReader(string text, string source);

/// <summary>Jobs by HTTP.</summary>
internal static class JobEndpoints
{
    private const int MaxJobFile = 1 << 20;
    private const string Tag = "jobs";

    public static void MapJobs(this IEndpointRouteBuilder api)
    {
        api.MapGet("/jobs", async (ICluster cluster, CancellationToken cancel) => new JobsDocument([.. (await cluster.JobsAsync(cancel).ConfigureAwait(false)).Select(JobSummaryDocument.Of)]))
            .WithTags(Tag).WithSummary("All jobs, the newest last").Needs(Scopes.Operate);
        api.MapPost("/jobs", SubmitAsync)
            .WithTags(Tag).WithSummary("Submit a job file").WithDescription("The body is the job file itself, YAML. Paths in it are those of the cluster's nodes; relative ones are refused.")
            .Accepts<string>("application/yaml", "text/yaml", "text/plain", "application/x-yaml").Produces<JobReferenceDocument>(StatusCodes.Status201Created)
            .WithMetadata(new RequestSizeLimitAttribute(MaxJobFile)).Act("jobs.submit", Scopes.Operate);
        api.MapGet("/jobs/{job}", async (string job, ICluster cluster, CancellationToken cancel) => JobDocument.Of(await cluster.JobAsync(Id(job), cancel).ConfigureAwait(false)))
            .WithTags(Tag).WithSummary("All that is known of a job").Needs(Scopes.Operate);
        api.MapGet("/jobs/{job}/progress", ProgressAsync)
            .WithTags(Tag).WithSummary("A job's progress as server-sent events").WithDescription("Events 'progress', a few a second, until the job ends; the last one has an end status. Then the stream ends.").Needs(Scopes.Operate);
        api.MapPost("/jobs/{job}/cancel", async (string job, ICluster cluster, CancellationToken cancel) =>
            {
                await cluster.CancelAsync(Id(job), cancel).ConfigureAwait(false);
                return new JobReferenceDocument(job, "cancelled");
            })
            .WithTags(Tag).WithSummary("End a job for good, without a model").Act("jobs.cancel", Scopes.Operate);
        api.MapPost("/jobs/{job}/interrupt", async (string job, ICluster cluster, CancellationToken cancel) =>
            {
                await cluster.InterruptAsync(Id(job), cancel).ConfigureAwait(false);
                return new JobReferenceDocument(job, "interrupted");
            })
            .WithTags(Tag).WithSummary("Checkpoint a job and stop it there, ready to be resumed").Act("jobs.interrupt", Scopes.Operate);
        api.MapPost("/jobs/{job}/resume", async (string job, ICluster cluster, CancellationToken cancel) =>
            {
                await cluster.ResumeAsync(Id(job), cancel).ConfigureAwait(false);
                return new JobReferenceDocument(job, "training");
            })
            .WithTags(Tag).WithSummary("Go on with an interrupted job from its last checkpoint").Act("jobs.resume", Scopes.Operate);
    }

    private static async Task<IResult> SubmitAsync(HttpContext context, ICluster cluster, JobFileReader read, CancellationToken cancel)
    {
        var type = context.Request.ContentType?.Split(';')[0].Trim().ToLowerInvariant();
        if (type is not ("application/yaml" or "application/x-yaml" or "text/yaml" or "text/x-yaml" or "text/plain"))
            return ApiFailures.Error(StatusCodes.Status415UnsupportedMediaType, $"a job file is YAML: send it with Content-Type application/yaml, not '{type}'");
        var spec = read(await BodyAsync(context.Request, cancel).ConfigureAwait(false), "job file");
        var job = await cluster.SubmitAsync(spec, cancel).ConfigureAwait(false);
        AuditedActs.About(context, job.Value);
        return Results.Created($"/api/jobs/{job}", new JobReferenceDocument(job.Value, "preparing"));
    }

    private static async Task<string> BodyAsync(HttpRequest request, CancellationToken cancel)
    {
        using var body = new MemoryStream();
        // Kestrel bounds it
        await request.Body.CopyToAsync(body, cancel).ConfigureAwait(false);
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(body.GetBuffer().AsSpan(0, (int)body.Length)).TrimStart('\uFEFF');
        }
        catch (DecoderFallbackException)
        {
            throw new InputException("job file", "is not text in UTF-8, as a job file is");
        }
    }

    private static async Task<IResult> ProgressAsync(string job, ICluster cluster, IHostApplicationLifetime host, HttpContext context)
    {
        var id = Id(job);
        // a stream that has begun can't say any more that there is no such job
        await cluster.JobAsync(id, context.RequestAborted).ConfigureAwait(false);
        return TypedResults.ServerSentEvents(WatchAsync(cluster, id, host.ApplicationStopping, context.RequestAborted));
    }

    private static async IAsyncEnumerable<SseItem<ProgressDocument>> WatchAsync(ICluster cluster, JobId job, CancellationToken stopping, [EnumeratorCancellation] CancellationToken cancel)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, cancel);
        await using var moments = cluster.WatchAsync(job, either.Token).GetAsyncEnumerator(either.Token);
        while (true)
        {
            try
            {
                if (!await moments.MoveNextAsync().ConfigureAwait(false))
                    yield break;
            }
            catch (Exception exception) when (exception is OperationCanceledException or ClusterException)
            {
                // the reader sees an end without an end status, and asks again
                yield break;
            }
            yield return new SseItem<ProgressDocument>(ProgressDocument.Of(moments.Current), "progress");
        }
    }

    private static JobId Id(string job) => JobId.IsValid(job) ? new JobId(job) : throw new InputException("job", $"there is no job '{AuditRecord.Clean(job)}', and none could be called that");
}
