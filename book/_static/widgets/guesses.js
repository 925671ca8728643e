/* The guesses that the chapters ask for, and what came of them: [words, smallest, largest, ours, paper] for a number,
   [words, options, ours, paper] for a choice; a unit may follow, and "log" for an axis in powers of ten. The chapters state the
   same answers; a test compares. */
(function () {
  "use strict";
  window.Widgets.guesses = {
    "01": [
      ["1. Women", 1, 322, 161, null],
      ["2. Share of normal films", 0, 100, 64, null, "%"],
      ["3. Median radius of a lesion", 0, 200, 41, null, "pixels"],
      ["3. Largest radius", 0, 300, 197, null, "pixels"],
      ["4. Pairs that differ in tissue", 0, 161, 0, null],
    ],
    "02": [
      ["1. Different pictures", 1, 16, 8, 8],
      ["2. The same picture either way?", ["yes", "no"], "no", null],
      ["3. Under the eight symmetries the box", ["stays where it is", "moves in some", "moves in all"],
        "stays where it is", null],
    ],
    "03": [
      ["1. Stride", 1, 128, 64, null, "pixels"],
      ["2. Share of dark patches", 0, 100, 64, null, "%"],
      ["3. Lesions that one box finds", 0, 100, 45, null, "%"],
    ],
    "04": [
      ["1. Side of the last map", 1, 64, 4, null],
      ["2. Accuracy of always “normal”", 0, 100, 67, null, "%"],
      ["3. Width of the interval", 0, 40, 14, null, "points"],
      ["4. Share that holds for new women, at most", 0, 100, 38, null, "%"],
    ],
    "05": [
      ["1. Questions about one image", 1, 1000000, 6132, null, "", "log"],
      ["2. Boxes on the lesion", ["a few", "hundreds", "thousands"], "a few", null],
      ["3. Parameters of the layer", 1, 1000000, 1792, 1792, "", "log"],
      ["4. Parameters of the network", ["thousands", "millions", "billions"], "millions", "millions"],
    ],
    "06": [
      ["1. A hit at IoU 0.5?", ["yes", "no"], "yes", null],
      ["2. The AP is nearer to", ["1", "0.9", "0.5"], "0.9", null],
      ["3. The AP falls by", ["about 0.01", "about 0.05", "more than 0.1"], "more than 0.1", null],
    ],
    "07": [
      ["1. Weight decay in the first loss", ["0.1", "1", "10"], "10", null],
      ["2. Views that train, of eight", 0, 8, 5.88, null],
      ["3. Chance that the mirror image trains", 0, 100, 73.6, null, "%"],
      ["4. Mirroring lifts the score more", ["at random", "by woman"], "at random", null],
    ],
    "08": [
      ["1. The rate from which it moves away", 0, 2, 0.5, null],
      ["2. Momentum makes the limit", ["smaller", "larger"], "larger", null],
      ["2. And the distance", ["shorter", "longer"], "longer", null],
      ["3. The first step, beside the weights", ["a hundredth", "a tenth", "longer than they are"],
        "longer than they are", null],
      ["4. Will clipping by itself make it learn?", ["yes", "no"], "no", null],
    ],
    "09": [
      ["1. Updates with batches of 100", 0, 5000, 1800, 1800],
      ["1. Updates with batches of 300", 0, 5000, 600, 600],
      ["2. Does it give a longer step?", ["yes", "no"], "no", null],
      ["3. It slows the arithmetic by", ["about 15 %", "about 5 %", "not at all"], "not at all", null],
    ],
    "10": [
      ["1. The separable network moves", ["fewer bytes", "more bytes"], "more bytes", null],
      ["2. Arithmetic in the depthwise filters", ["about half", "a tenth", "less than a twentieth"],
        "less than a twentieth", null],
      ["3. A separable layer will be", ["faster", "slower"], "faster", "slower"],
      ["4. The loss falls by about", ["0", "1", "8"], "8", null],
    ],
    "11": [
      ["1. Hits on uniform cuts", ["half", "a quarter", "less than a tenth"], "less than a tenth", null],
      ["2. The most confident box lies", ["on the lesion", "in the middle", "anywhere"], "in the middle", null],
      ["3. The mAP", ["halves", "falls a little", "stays the same"], "stays the same", null],
    ],
    "12": [
      ["1. Women on both sides", 0, 97, 69.7, null],
      ["2. One method gains nothing. It", ["looks at no pixel", "has few parameters", "is trained on less"],
        "looks at no pixel", null],
      ["3. The best beats the average by", 0, 0.5, 0.143, null],
      ["4. Does a comparison of files find it?", ["yes", "no"], "no", null],
    ],
    "13": [
      ["1. Lesions of 100 that the Laplacian finds", 0, 100, 43, null],
      ["2. The maps of a network of photographs find", ["more", "fewer"], "more", null],
      ["3. Found least are", ["masses", "distortions", "asymmetries", "calcifications"], "calcifications", null],
      ["4. They must be apart by", 0, 0.5, 0.13, null],
    ],
  };
})();
