using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Plans;
using ClusterNet.Data.Sources;

namespace ClusterNet.Data.Splits;

/// <summary>Deals samples to the three parts: a function of the source, the rule and the seed alone.</summary>
internal static class Splitter
{
    /// <summary>Keeps the draws of a split apart from every other use of a job's seed.</summary>
    private const long Purpose = 0x53504C4954; // "SPLIT"

    private static readonly Dictionary<string, Part> PartWords = new(StringComparer.OrdinalIgnoreCase)
    {
        ["train"] = Part.Training,
        ["validation"] = Part.Validation,
        ["val"] = Part.Validation,
        ["test"] = Part.Test,
    };

    /// <summary>Deals the samples of <paramref name="frame"/>.</summary>
    /// <param name="frame">the source</param>
    /// <param name="spec">the data section, for its split and its task</param>
    /// <param name="seed">the job's seed, used unless the split has one of its own</param>
    /// <exception cref="InputException">fractions that leave no training part, unknown groups or words, a part that was asked for and got nothing, classes that training lacks</exception>
    public static Split Deal(Frame frame, DataSpec spec, long seed)
    {
        var rule = spec.Split;
        CheckFractions(rule);
        var random = new SplitMix64(SplitMix64.Combine(rule.Seed ?? seed, Purpose));
        var split = Split.Of(rule.Kind switch
        {
            SplitKind.None => new Part[frame.Count],
            SplitKind.Stratified when frame.Target is WordColumn classes => Stratified(classes, rule, random),
            // a regression has no classes whose proportions could be kept
            SplitKind.Random or SplitKind.Stratified => AtRandom(frame.Count, rule, random),
            SplitKind.Group => ByGroup(frame.Groups!, rule, random),
            _ => ByPart(frame),
        });
        CheckParts(split, rule, frame.Count);
        if (frame.Target is WordColumn words)
            CheckClasses(split, words, frame.Places);
        return split;
    }

    private static void CheckFractions(SplitSpec rule)
    {
        if (rule.Kind is not (SplitKind.Random or SplitKind.Stratified or SplitKind.Group))
            return;
        var faults = new FaultList();
        foreach (var (name, fraction) in new[] { ("validation", rule.Validation), ("test", rule.Test) })
        {
            if (!(fraction >= 0 && fraction < 1))
                faults.Add($"data.split.{name}", FormattableString.Invariant($"{fraction} is not a fraction from 0 to below 1"));
        }
        if (faults.IsEmpty && rule.Validation + rule.Test >= 1)
            faults.Add("data.split", FormattableString.Invariant($"validation {rule.Validation} and test {rule.Test} leave nothing to train on; together they must be below 1"));
        faults.ThrowIfAny();
    }

    private static int Share(double fraction, int count) => (int)Math.Round(fraction * count, MidpointRounding.AwayFromZero);

    private static Part[] AtRandom(int count, SplitSpec rule, SplitMix64 random)
    {
        var parts = new Part[count];
        var order = random.Permutation(count);
        var test = Share(rule.Test, count);
        var validation = Math.Min(Share(rule.Validation, count), count - test);
        foreach (var sample in order.AsSpan(0, test))
            parts[sample] = Part.Test;
        foreach (var sample in order.AsSpan(test, validation))
            parts[sample] = Part.Validation;
        return parts;
    }

    private static Part[] Stratified(WordColumn classes, SplitSpec rule, SplitMix64 random)
    {
        var parts = new Part[classes.Codes.Length];
        var members = MembersOf(classes);
        // each class keeps one sample for training, however large the fractions
        var room = members.Select(samples => Math.Max(0, samples.Length - 1)).ToArray();
        var test = Quotas(members, room, rule.Test);
        var validation = Quotas(members, [.. room.Zip(test, (free, taken) => free - taken)], rule.Validation);
        for (var c = 0; c < members.Length; c++)
        {
            random.Shuffle(members[c].AsSpan());
            foreach (var sample in members[c].AsSpan(0, test[c]))
                parts[sample] = Part.Test;
            foreach (var sample in members[c].AsSpan(test[c], validation[c]))
                parts[sample] = Part.Validation;
        }
        return parts;
    }

    /// <summary>Samples each class gives to a part: its exact share rounded down, then one more where the largest remainders are, until the part's size is reached.</summary>
    private static int[] Quotas(int[][] members, int[] room, double fraction)
    {
        var shares = members.Select(samples => fraction * samples.Length).ToArray();
        var quotas = shares.Select((share, c) => Math.Min((int)Math.Floor(share), room[c])).ToArray();
        var left = Share(fraction, members.Sum(samples => samples.Length)) - quotas.Sum();
        foreach (var c in Enumerable.Range(0, quotas.Length).OrderByDescending(c => shares[c] - Math.Floor(shares[c])).ThenBy(c => c))
        {
            if (left > 0 && quotas[c] < room[c] && shares[c] > quotas[c])
            {
                quotas[c]++;
                left--;
            }
        }
        return quotas;
    }

    private static Part[] ByGroup(WordColumn groups, SplitSpec rule, SplitMix64 random)
    {
        var members = MembersOf(groups);
        var faults = new FaultList();
        var test = Named(rule.TestGroups, "data.split.test-groups");
        var validation = Named(rule.ValidationGroups, "data.split.validation-groups");
        foreach (var group in test.Intersect(validation))
            faults.Add("data.split.validation-groups", $"group '{groups.Words[group]}' is among the test groups too; a group stands in one part");
        faults.ThrowIfAny();

        var order = random.Permutation(members.Length);
        if (rule.TestGroups.Count == 0)
            test = Drawn(rule.Test, validation);
        if (rule.ValidationGroups.Count == 0)
            validation = Drawn(rule.Validation, test);

        var parts = new Part[groups.Codes.Length];
        foreach (var sample in test.SelectMany(group => members[group]))
            parts[sample] = Part.Test;
        foreach (var sample in validation.SelectMany(group => members[group]))
            parts[sample] = Part.Validation;
        return parts;

        HashSet<int> Named(IReadOnlyList<string> names, string place)
        {
            var found = new HashSet<int>();
            foreach (var name in names)
            {
                var index = groups.Words.ToList().IndexOf(Cells.Word(name));
                if (index < 0)
                    faults.AddUnknown(place, "group", name, $"'{groups.Name}'", groups.Words);
                else
                    found.Add(index);
            }
            return found;
        }

        // takes groups in random order while each brings the part nearer to its size
        HashSet<int> Drawn(double fraction, HashSet<int> others)
        {
            var target = Share(fraction, groups.Codes.Length);
            var drawn = new HashSet<int>();
            var size = 0;
            var free = order.Where(group => !others.Contains(group)).ToArray();
            foreach (var group in free.Where(_ => target > 0))
            {
                var grown = size + members[group].Length;
                if (Math.Abs(grown - target) < target - size && drawn.Count < free.Length - 1)
                {
                    drawn.Add(group);
                    size = grown;
                }
            }
            // every group is larger than twice the part: the smallest comes nearest
            if (target > 0 && drawn.Count == 0 && free.Length > 1)
                drawn.Add(free.MinBy(group => members[group].Length));
            return drawn;
        }
    }

    private static Part[] ByPart(Frame frame)
    {
        var words = frame.Parts!;
        var faults = new FaultList();
        var parts = new Part[frame.Count];
        for (var i = 0; i < parts.Length && !faults.IsFull; i++)
        {
            if (!PartWords.TryGetValue(words[i]!, out parts[i]))
                faults.Add(Fault.Unknown(frame.Places[i], words[i]!, [.. PartWords.Keys]) with { Message = $"column '{words.Name}': '{words[i]}' is not a part; train, validation (or val) or test belongs here" });
        }
        faults.ThrowIfAny();
        return parts;
    }

    private static int[][] MembersOf(WordColumn words)
    {
        var members = new List<int>[words.Words.Count];
        for (var i = 0; i < members.Length; i++)
            members[i] = [];
        for (var i = 0; i < words.Codes.Length; i++)
            members[words.Codes[i]].Add(i);
        return [.. members.Select(list => list.ToArray())];
    }

    private static void CheckParts(Split split, SplitSpec rule, int count)
    {
        var faults = new FaultList();
        var byFraction = rule.Kind is SplitKind.Random or SplitKind.Stratified or SplitKind.Group;
        if (split.Training.Length == 0)
            faults.Add("data.split", $"none of the {count} samples is left to train on");
        if (byFraction && split.Validation.Length == 0 && (rule.Validation > 0 || rule.ValidationGroups.Count > 0))
            faults.Add("data.split.validation", FormattableString.Invariant($"{rule.Validation} of {count} samples is none; raise it, or set it to 0 for no validation part"));
        if (byFraction && split.Test.Length == 0 && (rule.Test > 0 || rule.TestGroups.Count > 0))
            faults.Add("data.split.test", FormattableString.Invariant($"{rule.Test} of {count} samples is none; raise it, or set it to 0 for no test part"));
        faults.ThrowIfAny();
    }

    private static void CheckClasses(Split split, WordColumn classes, SamplePlaces places)
    {
        var faults = new FaultList();
        var trained = split.Training.Select(sample => classes.Codes[sample]).ToHashSet();
        if (trained.Count < 2)
            faults.Add("data.target", $"'{classes.Name}' has only the class '{classes.Words[trained.First()]}' in the training part; a classification needs two (data.split, data.target)");
        foreach (var (name, part) in new[] { ("validation", split.Validation), ("test", split.Test) })
        {
            foreach (var absent in part.Where(sample => !trained.Contains(classes.Codes[sample])).GroupBy(sample => classes.Codes[sample]))
            {
                faults.Add(
                    places[absent.First()],
                    $"column '{classes.Name}': class '{classes.Words[absent.Key]}' stands {absent.Count()} times in the {name} part and never in training; change data.split, or take the class out");
            }
        }
        faults.ThrowIfAny();
    }
}
