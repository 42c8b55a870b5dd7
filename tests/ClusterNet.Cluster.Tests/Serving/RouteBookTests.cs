using System.Globalization;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Jobs;
using CsCheck;

namespace ClusterNet.Cluster.Tests.Serving;

/// <summary>A model in use goes over to other versions only when they are loaded; shares are kept; a key always leads to the same version.</summary>
public sealed class RouteBookTests
{
    private static readonly TimeSpan Start = TimeSpan.FromHours(1);

    [Fact]
    public void Without_a_word_production_answers_or_else_the_newest()
    {
        var book = Book(Entry([1, 2, 3]));
        Assert.Equal(3, Ask(book));
        book.Update(2, [Entry([1, 2, 3], ("production", 2))], Start + RouteBook.InUse + TimeSpan.FromSeconds(1));
        Assert.Equal(2, Ask(book));
    }

    [Fact]
    public void A_version_counts_as_used_for_a_while_after_its_last_request()
    {
        var book = Book(Entry([1, 2, 3], ("staging", 1)));
        Assert.False(book.HasNewUse);
        Assert.Empty(book.Used(Start));
        Assert.Equal((3, 1), (Ask(book), Ask(book, "staging")));
        Assert.True(book.HasNewUse);
        Assert.Equal([new ModelVersionId("m", 1), new ModelVersionId("m", 3)], book.Used(Start).OrderBy(version => version.Version));
        Assert.Equal(3, Ask(book));
        Assert.False(book.HasNewUse);
        book.Decide("m", "2", null, 0, Start + RouteBook.Recently);
        Assert.True(book.HasNewUse);
        Assert.Equal([new ModelVersionId("m", 2)], book.Used(Start + RouteBook.Recently + TimeSpan.FromTicks(1)));
        Assert.Empty(book.Used(Start + (3 * RouteBook.Recently)));
    }

    [Fact]
    public void A_version_is_named_by_number_or_label()
    {
        var book = Book(Entry([1, 2, 3], ("staging", 1)));
        Assert.Equal((1, 2), (Ask(book, "staging"), Ask(book, "2")));
        var unknown = book.Decide("m", "stagging", null, 0, Start);
        Assert.Equal((null, ServingProtocol.FailureKind.UnknownModel), (unknown.Version, unknown.Kind));
        Assert.Contains("staging", unknown.Fault!.Candidates);
        Assert.Equal(ServingProtocol.FailureKind.UnknownModel, book.Decide("n", null, null, 0, Start).Kind);
    }

    [Fact]
    public void A_model_in_use_keeps_its_version_until_the_next_is_loaded()
    {
        var book = Book(Entry([1], ("production", 1)));
        Assert.Equal(1, Ask(book));
        book.Update(2, [Entry([1, 2], ("production", 2))], Start);
        Assert.Equal(1, Ask(book));
        Assert.Equal([new ModelVersionId("m", 2)], book.ToPrepare());
        book.Failed(new("m", 2), "damaged");
        Assert.Equal((1, "damaged"), (Ask(book), book.FailureOf(new("m", 2))));
        Assert.Equal([new ModelVersionId("m", 1)], book.Prepared(new("m", 2)));
        Assert.Equal(2, Ask(book));
        Assert.Empty(book.ToPrepare());
    }

    [Fact]
    public void A_label_in_use_does_so_too()
    {
        var book = Book(Entry([1, 2], ("staging", 1)));
        Assert.Equal(1, Ask(book, "staging"));
        book.Update(2, [Entry([1, 2], ("staging", 2))], Start);
        Assert.Equal(1, Ask(book, "staging"));
        book.Prepared(new("m", 2));
        Assert.Equal(2, Ask(book, "staging"));
    }

    [Fact]
    public void A_model_that_nobody_uses_goes_over_at_once_and_so_does_one_whose_version_is_gone()
    {
        var book = Book(Entry([1], ("production", 1)));
        book.Update(2, [Entry([1, 2], ("production", 2))], Start);
        Assert.Equal(2, Ask(book));
        book.Update(3, [Entry([1, 3])], Start);
        Assert.Equal(3, Ask(book));
    }

    [Fact]
    public void A_model_that_was_unloaded_refuses_for_now()
    {
        var book = Book(Entry([1]) with { Traffic = TrafficSpec.Default with { IsUnloaded = true } });
        var route = book.Decide("m", null, null, 0, Start);
        Assert.Equal((null, ServingProtocol.FailureKind.Unavailable), (route.Version, route.Kind));
    }

    [Fact]
    public void Shadows_compute_what_the_traffic_answers_and_not_what_they_answer_themselves()
    {
        var book = Book(Entry([1, 2], ("production", 1), ("staging", 2)) with { Traffic = TrafficSpec.Default with { Shadows = ["staging", "1"] } });
        Assert.Equal([new ModelVersionId("m", 2)], book.Decide("m", null, null, 0, Start).Shadows);
        Assert.Empty(book.Decide("m", "2", null, 0, Start).Shadows);
    }

    [Fact]
    public void A_key_leads_to_the_same_version_in_every_book_and_shares_are_kept()
    {
        Gen.Select(Gen.Double[0.05, 10], Gen.Double[0.05, 10], Gen.Double[0.05, 10]).Sample(
            (a, b, c) =>
            {
                var entry = Entry([1, 2, 3]) with { Traffic = new TrafficSpec([new("1", a), new("2", b), new("3", c)]) };
                var (one, other) = (Book(entry), Book(entry));
                var counts = new int[4];
                const int keys = 2000;
                for (var i = 0; i < keys; i++)
                {
                    var key = i.ToString(CultureInfo.InvariantCulture);
                    var version = one.Decide("m", null, key, 0.9, Start).Version!.Value.Version;
                    if (other.Decide("m", null, key, 0.1, Start).Version!.Value.Version != version)
                        return false;
                    counts[version]++;
                }
                var sum = a + b + c;
                return new[] { (1, a), (2, b), (3, c) }.All(arm => Math.Abs(counts[arm.Item1] / (double)keys - arm.Item2 / sum) < 0.06);
            },
            iter: 50);
    }

    [Fact]
    public void A_place_of_a_key_never_changes() => Assert.Equal(RouteBook.PlaceOf("tumor", "patient-1"), RouteBook.PlaceOf("tumor", "patient-1"));

    [Fact]
    public void A_draw_hits_each_arm_by_its_share()
    {
        (int, double)[] shares = [(7, 0.25), (8, 0.75)];
        Assert.Equal((7, 7, 8, 8), (RouteBook.Pick(shares, 0), RouteBook.Pick(shares, 0.2499), RouteBook.Pick(shares, 0.25), RouteBook.Pick(shares, 0.9999999)));
    }

    private static ModelEntry Entry(int[] versions, params (string Label, int Version)[] labels) =>
        new("m", versions, labels.ToDictionary(label => label.Label, label => label.Version), TrafficSpec.Default);

    private static RouteBook Book(ModelEntry entry)
    {
        var book = new RouteBook();
        book.Update(1, [entry], Start);
        return book;
    }

    private static int Ask(RouteBook book, string? version = null) => book.Decide("m", version, null, 0.5, Start).Version!.Value.Version;
}
